/**
 * Callees that know nothing of Switchgear, in processes of their own: a Python gRPC server, and a server that is stopped with
 * SIGSTOP, whose circuit opens through deadlines and closes after CONT.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { connect, type Mesh } from '../../sdk/index.js';
import { EchoClient, unary } from '../support/echo.js';
import { keptLogger } from '../support/logs.js';
import { policy, type Running, startRest } from '../support/rest.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

const python = fileURLToPath(new URL('../support/echo-server.py', import.meta.url));
const node = fileURLToPath(new URL('../support/echo-process.ts', import.meta.url));

describe('a callee that knows nothing of us', () => {
  let running: Running;
  let mesh: Mesh;
  let client: grpc.Client;
  let child: ChildProcess;

  const start = async (command: string, args: readonly string[], spec: Record<string, unknown>) => {
    running = await startRest();
    await running.put('/v1/policies/p', policy('p', { spec }));
    child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdout } = child;
    if (!stdout) throw new Error('no output');
    const [port] = (await once(createInterface({ input: stdout }), 'line')) as [string];
    mesh = await connect({
      service: 'checkout',
      controlPlane: running.plane.grpcAddress,
      callees: ['inventory'],
      snapshot: false,
      logger: keptLogger(),
    });
    client = new EchoClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      interceptors: [mesh.interceptor('inventory')],
    });
  };

  afterEach(async () => {
    child.kill('SIGKILL');
    client.close();
    await mesh.close();
    await running.close();
  });

  it('in Python: answers, statuses and a breaker over them', async () => {
    await start('/usr/bin/python3', [python], {
      circuit: { minimumCalls: 3, openFor: '60s' },
      timeout: '5s',
    });
    expect(await unary(client, 'hello')).to.equal('hello');
    expect(await chat(client, 'abc')).to.equal('abc');
    const missing = (await rejectionOf(unary(client, 'missing'))) as grpc.ServiceError;
    expect([missing.code, missing.details]).to.deep.equal([grpc.status.NOT_FOUND, 'no such thing']);
    expect(mesh.circuit('inventory').state).to.equal('closed');
    for (let i = 0; i < 3; i++) {
      const error = (await rejectionOf(unary(client, 'fail'))) as grpc.ServiceError;
      expect([error.code, error.details]).to.deep.equal([grpc.status.UNAVAILABLE, 'out of order']);
    }
    const error = (await rejectionOf(unary(client, 'hello'))) as grpc.ServiceError;
    expect(error.details).to.match(/^\[circuit_open\] inventory: retry in \d+ ms \(policy p@1\)$/);
  });

  it('that is stopped opens its circuit through deadlines, and closes it when it goes on', async () => {
    await start(process.execPath, ['--import', 'tsx', node], {
      timeout: '100ms',
      circuit: { window: { calls: 10 }, minimumCalls: 3, openFor: '200ms', halfOpen: { calls: 1 } },
    });
    expect(await unary(client, 'hello')).to.equal('hello');
    child.kill('SIGSTOP');
    const codes = new Set<number>();
    await until(
      async () => {
        const error = (await rejectionOf(unary(client, 'x'))) as grpc.ServiceError;
        codes.add(error.code);
        return error.details.startsWith('[circuit_open]');
      },
      { what: 'the open circuit' },
    );
    expect(codes).to.deep.equal(new Set([grpc.status.DEADLINE_EXCEEDED, grpc.status.UNAVAILABLE]));
    expect(mesh.status().circuits[0]).to.include({ state: 'open', callee: 'inventory' });
    child.kill('SIGCONT');
    await until(() => unary(client, 'back').catch(() => false), { what: 'an answer' });
    expect(mesh.circuit('inventory').state).to.equal('closed');
  });
});

/** A bidi stream: says each letter, answers what was heard. */
function chat(client: grpc.Client, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = (client as unknown as { Chat(): grpc.ClientDuplexStream<Buffer, Buffer> }).Chat();
    let heard = '';
    stream.on('data', (part: Buffer) => {
      heard += part.toString();
    });
    stream.on('error', reject);
    stream.on('end', () => resolve(heard));
    for (const letter of text) stream.write(Buffer.from(letter));
    stream.end();
  });
}
