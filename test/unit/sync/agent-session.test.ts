/** What an agent sends and reads by tables, against what the loader makes of the proto as it is now. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { agentSession } from '../../../proto/agent-session.js';
import { CONVERSION } from '../../../proto/codec.js';
import { AgentMessage as AgentShape, ControlMessage } from '../../../proto/generated/agents.js';
import { loadWire } from '../../../proto/load.js';
import type { AgentMessage, Directives } from '../../../proto/messages.js';
import { decode } from '../../../proto/wire.js';
import { property } from '../../support/property.js';

const fileOf = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

function typeOf(name: string): protobuf.Type {
  const root = protobuf.loadSync(fileOf('proto/switchgear/v1/agents.proto'));
  return root.resolveAll().lookupType(`switchgear.v1.${name}`);
}

/** Values of one field of a message, of all that the wire can carry. */
function single(field: protobuf.Field): fc.Arbitrary<unknown> {
  if (field.resolvedType instanceof protobuf.Type) return values(field.resolvedType);
  if (field.type === 'string') return fc.string({ unit: 'grapheme', maxLength: 8 });
  if (field.type === 'bytes') return fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes));
  if (field.type === 'bool') return fc.boolean();
  if (field.type === 'double') return fc.double({ noNaN: true });
  return fc.integer({ min: 0, max: field.type.includes('64') ? Number.MAX_SAFE_INTEGER : 2 ** 31 - 1 });
}

function values(type: protobuf.Type): fc.Arbitrary<object> {
  const fields = type.fieldsArray.map((field) => {
    const one = single(field);
    return [field.name, field.repeated ? fc.array(one, { maxLength: 3 }) : one] as const;
  });
  const [oneof] = type.oneofsArray;
  if (oneof) return fc.oneof(...fields.map(([name, value]) => fc.record({ [name]: value })));
  return fc.record(Object.fromEntries(fields), { requiredKeys: [] });
}

function bytesOf(type: protobuf.Type, message: object): Buffer {
  return Buffer.from(type.encode(type.fromObject(message)).finish());
}

function outcome(of: () => unknown): unknown {
  try {
    return of();
  } catch (error) {
    return String(error);
  }
}

describe("an agent's side of the session", () => {
  it('is made of the proto as it is: npm run generate', () => {
    const made = execFileSync(process.execPath, [fileOf('tools/generate-shapes.mjs'), '--print'], {
      encoding: 'utf8',
    });
    expect(readFileSync(fileOf('proto/generated/agents.ts'), 'utf8')).to.equal(made);
  });

  const asked = typeOf('AgentMessage');
  property('says what the loader would say, whatever the message', values(asked), async (value) => {
    const { session } = await loadWire();
    const message = value as AgentMessage;
    const heard = (bytes: Buffer) => asked.toObject(asked.decode(bytes), CONVERSION);
    expect(agentSession.path).to.equal(session.path);
    expect(heard(agentSession.requestSerialize(message))).to.deep.equal(
      heard(session.requestSerialize(message)),
    );
  });

  property('is heard as the loader would hear it', values(asked), (value) => {
    const bytes = bytesOf(asked, value);
    expect(decode(AgentShape, bytes)).to.deep.equal(asked.toObject(asked.decode(bytes), CONVERSION));
  });

  const answered = typeOf('ControlMessage');
  const written = values(answered).map((message) => bytesOf(answered, message));
  property("reads the loader's values, or refuses in the same words", written, async (bytes) => {
    const { session } = await loadWire();
    const read = outcome(() => agentSession.responseDeserialize(bytes));
    expect(read).to.deep.equal(outcome(() => session.responseDeserialize(bytes)));
  });

  property(
    'reads or refuses whatever bytes come, cut and changed ones too',
    fc.tuple(written, fc.uint8Array({ maxLength: 20 }), fc.nat()),
    ([bytes, other, at]) => {
      const from = bytes.length === 0 ? 0 : at % bytes.length;
      const damaged = Buffer.concat([bytes.subarray(0, from), other, bytes.subarray(from + (at % 3))]);
      const read = outcome(() => agentSession.responseDeserialize(damaged));
      if (typeof read === 'string') expect(read).to.match(/^MeshError/);
    },
  );

  it('passes over fields that nobody knows, and such of another type than they should be', () => {
    const drain = bytesOf(answered, { drain: { afterMs: 300 } });
    const unknown = ['fa3f03616263', 'f83f8001', 'f93f0102030405060708', 'fd3f01020304', '3005'];
    const bytes = Buffer.concat([drain, ...unknown.map((hex) => Buffer.from(hex, 'hex'))]);
    expect(agentSession.responseDeserialize(bytes)).to.deep.equal({
      message: 'drain',
      drain: { afterMs: 300 },
    });
  });

  it('says where bytes are no message', () => {
    const refusals = ['ff', 'ffffffffffffffffffffff01', '1205', '13', 'f93f01', '3203080380'].map((hex) =>
      outcome(() => agentSession.responseDeserialize(Buffer.from(hex, 'hex'))),
    );
    for (const refusal of refusals) expect(refusal).to.match(/is no message of this protocol: .*at byte \d+/);
  });

  it('takes numbers of a list together or one by one', () => {
    const packed = bytesOf(answered, { directives: { directives: [{ permits: [1, 300, 2 ** 40] }] } });
    const single = Buffer.from('2a0e0a0c300130ac0230808080808020', 'hex');
    const permits = [packed, single].map((bytes) => {
      const { directives } = decode(ControlMessage, bytes) as { directives: Directives };
      return directives.directives[0]?.permits;
    });
    expect(permits).to.deep.equal([
      [1, 300, 2 ** 40],
      [1, 300, 2 ** 40],
    ]);
  });

  it('a message that could not be written leaves nothing behind for the next', () => {
    const broken = { message: 'subscribe', subscribe: { callees: ['a', Symbol('b')] } };
    const thrown = outcome(() => agentSession.requestSerialize(broken as unknown as AgentMessage));
    const heartbeat: AgentMessage = { message: 'heartbeat', heartbeat: {} };
    expect(agentSession.requestSerialize(heartbeat).toString('hex')).to.equal('3200');
    expect(String(thrown)).to.not.equal('');
  });

  it('writes what is larger than its buffer', async () => {
    const { service } = await loadWire();
    const callees = Array.from({ length: 1_000 }, (_, i) => `service-${i}-${'x'.repeat(100)}`);
    const message: AgentMessage = { message: 'subscribe', subscribe: { callees } };
    expect(service.session.requestDeserialize(agentSession.requestSerialize(message))).to.deep.equal(message);
  });
});
