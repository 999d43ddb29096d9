/**
 * `kill -9` of the control plane in a storm of writes over REST: whatever was acknowledged is there after the restart, on
 * the embedded store and on Redis.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { seededRandom } from '../../core/random.js';
import { RedisServer } from '../support/redis.js';
import { until } from '../support/until.js';
import { anyPort, putPolicy, type Up, up } from '../support/up.js';

const WRITERS = 8;
const ROUNDS = 3;

interface Acknowledged {
  readonly name: string;
  readonly revision: number;
  readonly openFor: string;
}

/** Writers that go on until the server is gone; answers what it acknowledged, the last of each name. */
async function storm(
  server: Up,
  round: number,
  writesBeforeKill: number,
): Promise<Map<string, Acknowledged>> {
  const acknowledged = new Map<string, Acknowledged>();
  let count = 0;
  let gone = false;
  const writer = async (id: number) => {
    for (let i = 0; !gone; i++) {
      const name = `storm-${id}-${i % 5}`;
      const openFor = `${1000 + round * 10_000 + i}ms`;
      try {
        const { status, body } = await putPolicy(server.rest, name, {
          match: { to: 'inventory' },
          spec: { circuit: { openFor } },
        });
        if (status >= 300 || body.revision === undefined) continue;
        acknowledged.set(name, { name, revision: body.revision, openFor });
        count++;
      } catch {
        gone = true;
      }
    }
  };
  const writers = Array.from({ length: WRITERS }, (_, id) => writer(id));
  await until(() => count >= writesBeforeKill, { what: `${writesBeforeKill} acknowledged writes` });
  await server.kill();
  await Promise.all(writers);
  return acknowledged;
}

async function verify(server: Up, acknowledged: Map<string, Acknowledged>): Promise<void> {
  for (const { name, revision, openFor } of acknowledged.values()) {
    const response = await fetch(`${server.rest}/v1/policies/${name}`);
    expect(response.status, name).to.equal(200);
    const found = Number(response.headers.get('etag')?.replaceAll('"', ''));
    // A write whose answer was cut may have come after the last that was acknowledged.
    expect(found, name).to.be.at.least(revision);
    if (found > revision) continue;
    const document = (await response.json()) as { spec: { circuit: { openFor: string } } };
    expect(document.spec.circuit.openFor, name).to.equal(openFor);
  }
}

describe('kill -9 of the control plane in a storm of writes', function () {
  this.timeout(120_000);

  async function survives(store: string): Promise<void> {
    const random = seededRandom(20_261_123);
    const all = new Map<string, Acknowledged>();
    for (let round = 0; round < ROUNDS; round++) {
      const server = await up([...anyPort, '--store', store]);
      await verify(server, all);
      const acknowledged = await storm(server, round, 20 + Math.floor(random.next() * 60));
      expect(acknowledged.size).to.be.greaterThan(0);
      for (const [name, one] of acknowledged) all.set(name, one);
    }
    const server = await up([...anyPort, '--store', store]);
    await verify(server, all);
    expect(await server.stop()).to.equal(0);
  }

  it('loses nothing that was acknowledged, on the embedded store', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'switchgear-kill-'));
    try {
      await survives(`embedded:${dir}`);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('loses nothing that was acknowledged, on Redis with appendfsync always', async () => {
    const redis = await RedisServer.start({ fsync: 'always' });
    try {
      await survives(redis.url);
    } finally {
      await redis.close();
    }
  });
});
