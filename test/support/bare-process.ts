/**
 * A process of its own that uses a mesh and closes it, for tests of how it ends: by itself, with nothing to keep it. Its
 * arguments are the control plane's address and the snapshot's path (or `-`); what it saw goes to standard output as JSON.
 */
import { connect } from '../../sdk/index.js';
import { EchoClient, unary } from './echo.js';

const [controlPlane = '', snapshot = '-'] = process.argv.slice(2);

const mesh = await connect({
  service: 'bare',
  controlPlane,
  callees: ['inventory'],
  snapshot: snapshot === '-' ? false : snapshot,
});
const { connected } = mesh.status();
if (connected) await mesh.register({ port: 50_051 });
const answer = await mesh.guard('postgres', () => 'a row');
const client = mesh.client(EchoClient, 'inventory');
const called = await unary(client, 'hello', { deadline: Date.now() + 200 }).catch(
  ({ code }: { code: number }) => code,
);
// Names that are used and then idle.
for (let i = 0; i < 500; i++) await mesh.guard(`resource-${i}`, () => i);
// The client is left open on purpose: its idle connections must not keep the process either.
await mesh.close();
process.stdout.write(`${JSON.stringify({ connected, answer, called })}\n`);
