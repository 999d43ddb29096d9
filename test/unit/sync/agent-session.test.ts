/** What an agent sends and reads by code made beforehand, against what the loader makes of the proto as it is now. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { agentSession } from '../../../proto/agent-session.js';
import { loadWire } from '../../../proto/load.js';
import type { AgentMessage } from '../../../proto/messages.js';
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

function outcome(of: () => unknown): unknown {
  try {
    return of();
  } catch (error) {
    return String(error);
  }
}

describe("an agent's side of the session", () => {
  it('is made of the proto as it is: npm run generate', () => {
    const made = execFileSync(process.execPath, [fileOf('tools/agent-codec.mjs'), '--print'], {
      encoding: 'utf8',
    });
    expect(readFileSync(fileOf('proto/generated/agent-codec.ts'), 'utf8')).to.equal(made);
  });

  property(
    "sends the loader's bytes, whatever the message",
    values(typeOf('AgentMessage')),
    async (value) => {
      const { session } = await loadWire();
      const message = value as AgentMessage;
      const bytes = agentSession.requestSerialize(message);
      expect(agentSession.path).to.equal(session.path);
      expect(bytes.equals(session.requestSerialize(message))).to.equal(true);
    },
  );

  const control = typeOf('ControlMessage');
  const written = values(control).map((message) =>
    Buffer.from(control.encode(control.fromObject(message)).finish()),
  );
  const garbage = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  property(
    "reads the loader's values, or refuses in the same words",
    fc.oneof(written, garbage),
    async (bytes) => {
      const { session } = await loadWire();
      const read = outcome(() => agentSession.responseDeserialize(bytes));
      expect(read).to.deep.equal(outcome(() => session.responseDeserialize(bytes)));
    },
  );
});
