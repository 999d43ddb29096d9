/**
 * Agents of several releases on one control plane: what the command line says, before a write and after it, of a policy that some
 * of them can't enforce. The old agent is made of the wire alone and announces what its release could do; the new one is the SDK's.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type ControlPlane, startControlPlane } from '../../control-plane/index.js';
import { silentLogger } from '../../control-plane/telemetry/logger.js';
import { connect, type Mesh } from '../../sdk/index.js';
import { type Ran, runCli } from '../support/cli.js';
import { RawAgent } from '../support/stream/raw-agent.js';
import { until } from '../support/until.js';

const everything = `policy: inventory-default
match: { to: inventory }
spec:
  timeout: 800ms
  idempotent: true
  retry: { attempts: 2 }
  hedge: { delay: p95 }
  circuit: { scope: cluster }
  bulkhead: { maxConcurrent: auto, shares: { critical: 50% }, per: method }
  rateLimit: { rate: 500, scope: cluster, by: method }
  admission: {}
  outlier: {}
  classify: { NOT_FOUND: failure }
  fallback: [ { cache: { maxAge: 60s } }, { static: [] } ]
`;
const modest = `policy: inventory-default
match: { to: inventory }
spec: { timeout: 800ms, circuit: { scope: cluster } }
`;
const lacking =
  'idempotent, retry, hedge, bulkhead, rateLimit, admission, outlier, classify, fallback, bulkhead.auto, bulkhead.shares, bulkhead.per';

describe('the command line and agents of several releases', () => {
  let plane: ControlPlane;
  let folder: string;
  let old: RawAgent;
  let mesh: Mesh;

  const cli = (...argv: string[]): Promise<Ran> => runCli([...argv, '--server', plane.restUrl]);
  const file = (text: string): string => {
    const path = join(folder, 'policy.yaml');
    writeFileSync(path, text);
    return path;
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'switchgear-cli-'));
    plane = await startControlPlane({
      rest: '127.0.0.1:0',
      grpc: '127.0.0.1:0',
      store: 'memory',
      mesh: 'test',
      logger: silentLogger,
    });
    old = await RawAgent.connect(plane.grpcAddress, { service: 'checkout', instance: 'old' });
    mesh = await connect({
      service: 'web',
      instance: 'new',
      callees: ['inventory'],
      controlPlane: plane.grpcAddress,
      snapshot: false,
      logger: { debug() {}, info() {}, warn() {}, error() {} },
    });
  });

  afterEach(async () => {
    old.close();
    await mesh.close();
    await plane.close();
    rmSync(folder, { recursive: true });
  });

  it('a dry run names the old one and what it lacks; nobody is warned of what this release can do', async () => {
    const { code, stdout, stderr } = await cli('apply', '-f', file(everything), '--dry-run');
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout).to.include('(concerns 2 agents)');
    expect(stdout).to.include(`\n  refused by checkout/old: can't enforce ${lacking}\n`);
    expect(stdout).not.to.include('web/new');
    expect((await cli('diff', '-f', file(everything))).stdout).to.include('refused by checkout/old');
    expect((await cli('apply', '-f', file(modest), '--dry-run')).stdout).not.to.include('refused');
  });

  it('after the write status and explain name it; the new one applies it', async () => {
    await cli('apply', '-f', file(modest));
    await cli('apply', '-f', file(everything));
    const status = await until(
      async () => {
        const ran = await cli('status', 'inventory-default', '--wait', '10000');
        return ran.stdout.includes('1 refused') && ran;
      },
      { what: 'the refusal' },
    );
    expect(status.code).to.equal(1);
    expect(status.stdout).to.match(/2 agents: 1 applied, 0 pending, 1 refused/);
    expect(status.stdout).to.match(
      /checkout\/old +this agent can't enforce idempotent, retry, hedge, bulkhead/,
    );
    expect(mesh.status().refused).to.deep.equal([]);
    expect(old.held).to.deep.equal(['inventory-default@1']);

    const { stdout } = await cli('explain', 'inventory', '--from', 'checkout');
    expect(stdout)
      .to.match(
        /note inventory-default@2 is refused whole by the one agent \(version 1\.0\.0, protocol [\d.]+\)/,
      )
      .and.include(`, which can't enforce ${lacking}; they keep inventory-default@1\n`);
    expect(stdout).to.match(/inventory-default@2 +checkout\/old +this agent can't enforce idempotent, retry/);
    expect(stdout).to.match(/bulkhead\.shares\.critical +50% +inventory-default@2\n/);
  });

  it('explain says what is approximated by the agents that are asked about, each by what it can do', async () => {
    const notes = async (from: string) => (await cli('explain', 'inventory', '--from', from)).stdout;
    await cli('apply', '-f', file(everything));
    // What an agent refuses whole it doesn't approximate.
    expect(await notes('checkout'))
      .to.include('is refused whole')
      .and.not.include('for itself');
    const shared =
      'policy: inventory-default\nmatch: { to: inventory }\nspec:\n  circuit: { scope: cluster }\n';
    await cli('apply', '-f', file(shared));
    expect(await notes('checkout')).to.match(
      /note circuit\.scope: cluster of inventory-default@2 is enforced by the one agent \(version 1\.0\.0, protocol [\d.]+\), each for itself\n/,
    );
    for (const said of ['for itself', 'is refused whole']) expect(await notes('web')).not.to.include(said);
  });

  it('explain says which sections do nothing for calls into a service', async () => {
    await cli('apply', '-f', file(everything.replace('to: inventory', 'to: self, from: web')));
    expect((await cli('explain', 'self', '--from', 'web')).stdout).to.include(
      'note timeout, idempotent, retry, hedge, circuit, admission, outlier, classify, fallback of inventory-default@1 do nothing for calls into the service itself',
    );
  });
});
