/**
 * A process that writes to a store as fast as it can, from many sides at once, and says on standard output what was
 * acknowledged, one line each, at once: until it is killed. Usage: store-storm STORE ROUND
 */
import { writeSync } from 'node:fs';
import { openStore } from '../../control-plane/store/open.js';
import { systemRandom } from '../../core/random.js';

const [url = '', round = ''] = process.argv.slice(2);
const store = await openStore(url, { mesh: 'default', replica: 'storm' });
const { dataset, head } = await store.load();

async function writer(number: number): Promise<never> {
  for (let i = 0; ; i += 1) {
    const names = [`r${round}-w${number}-${i % 4}`, `r${round}-w${number}-both`];
    const document = JSON.stringify({ i, padding: 'x'.repeat(300) });
    const { outcomes } = await store.write({
      requestId: systemRandom.hex(8),
      author: 'storm',
      action: 'apply',
      at: 1,
      seen: { dataset, revision: head },
      operations: names.map((name) => ({ kind: 'put', name, document, expected: 'any' })),
    });
    writeSync(1, `${outcomes.map(({ name, revision }) => `${name} ${revision} ${i}`).join('\n')}\n`);
  }
}

await Promise.all(Array.from({ length: 12 }, (_, number) => writer(number)));
