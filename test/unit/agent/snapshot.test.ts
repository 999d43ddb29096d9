/**
 * The snapshot on disk: whole or not at all, told apart from everything else, and never in the way. Every fault of a file is
 * tried on a real one.
 */
import { mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { decodeSnapshot, encodeSnapshot, type Snapshot } from '../../../agent/snapshot.js';
import { SnapshotFile } from '../../../agent/snapshot-file.js';
import { seededRandom } from '../../../core/random.js';
import { keptLogger } from '../../support/logs.js';
import { until } from '../../support/until.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const snapshot: Snapshot = {
  service: 'checkout',
  savedAt: 1_700_000_000_000,
  boot: 5,
  session: {
    dataset: 'd1',
    revision: 7,
    policies: [{ name: 'p', revision: 7, document: '{"é":1}', hash: 'h' }],
  },
  endpoints: {
    inventory: [{ instance: 'i', address: '[::1]:5', zone: '', version: '', protocol: 'grpc', weight: 1 }],
  },
  circuits: { 'inventory|p': { remainingMs: 1_234.5, openings: 1 } },
  callees: ['inventory'],
};

describe('the text of a snapshot', () => {
  it('reads as it was written', () => {
    expect(decodeSnapshot(encodeSnapshot(snapshot), 'checkout')).to.deep.equal(snapshot);
  });

  it('is refused wherever it is cut', () => {
    const text = encodeSnapshot(snapshot);
    for (let end = 0; end < text.length - 1; end++)
      expect(() => decodeSnapshot(text.slice(0, end), 'checkout'), `cut at ${end}`).to.throw(Error);
  });

  it('is refused whichever byte is another', () => {
    const text = encodeSnapshot(snapshot);
    for (let at = 0; at < text.length - 1; at++) {
      if (text[at] === '\n') continue;
      const changed = `${text.slice(0, at)}${text[at] === '0' ? '1' : '0'}${text.slice(at + 1)}`;
      expect(() => decodeSnapshot(changed, 'checkout'), `another byte at ${at}`).to.throw(Error);
    }
  });

  for (const [what, text, words] of [
    ['nothing', '', /no snapshot/],
    ['something else', '{"a":1}\n{}\n', /no snapshot/],
    [
      'another version',
      encodeSnapshot(snapshot).replace('"version":1', '"version":2'),
      /version 2, this release reads 1/,
    ],
    [
      'another service',
      encodeSnapshot({ ...snapshot, service: 'payments' }),
      /belongs to the service payments/,
    ],
    ['another shape', encodeSnapshot({ ...snapshot, callees: 7 } as unknown as Snapshot), /another shape/],
    ['half of it', encodeSnapshot(snapshot).slice(0, 300), /it is cut/],
  ] as const)
    it(`says that it is ${what}`, () => expect(() => decodeSnapshot(text, 'checkout')).to.throw(words));
});

describe('the file of a snapshot', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'switchgear-snapshot-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  let seed = 1;
  function setUp(
    path = join(dir, 'state', 'checkout.json'),
    content: () => Snapshot | undefined = () => snapshot,
  ) {
    const clock = new VirtualClock();
    const logger = keptLogger();
    let asked = 0;
    const counted = () => {
      asked++;
      return content();
    };
    const random = seededRandom(seed++);
    const file = new SnapshotFile({ path, service: 'checkout', clock, random, logger, content: counted });
    return { clock, logger, file, path, asked: () => asked };
  }

  it('is not there at first, and nobody is told', async () => {
    const { file, logger } = setUp();
    expect(await file.read()).to.equal(undefined);
    expect(file.ageMs).to.equal(undefined);
    expect(logger.lines).to.deep.equal([]);
  });

  it('is written with its directory, readable by its owner alone, and nothing is left beside it', async () => {
    const { file, path, clock } = setUp();
    file.touch();
    clock.advance(0);
    await file.close();
    expect(await file.read()).to.deep.equal(snapshot);
    expect(await readdir(join(dir, 'state'))).to.deep.equal(['checkout.json']);
    const { mode } = await stat(path);
    expect(mode & 0o777).to.equal(0o600);
  });

  it('is written at once, then once a second at most, and once more at the end', async () => {
    const { file, clock, asked } = setUp();
    file.touch();
    file.touch();
    clock.advance(0);
    await until(() => file.ageMs !== undefined, { what: 'the first write' });
    for (let i = 0; i < 10; i++) {
      file.touch();
      clock.advance(99);
    }
    expect(asked()).to.equal(1);
    clock.advance(10);
    expect(asked()).to.equal(2);
    file.touch();
    await file.close();
    expect(asked()).to.equal(3);
    file.touch();
    clock.advance(10_000);
    expect(asked()).to.equal(3);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('tells its age, also after a restart', async () => {
    const { file, clock } = setUp();
    file.touch();
    await file.close();
    clock.advance(5_000);
    expect(file.ageMs).to.equal(5_000);
    const later = setUp();
    later.clock.advance(60_000);
    await later.file.read();
    expect(later.file.ageMs).to.equal(60_000);
  });

  it('keeps the old one where there is nothing worth keeping', async () => {
    const first = setUp();
    first.file.touch();
    await first.file.close();
    const second = setUp(first.path, () => undefined);
    second.file.touch();
    await second.file.close();
    expect(await second.file.read()).to.deep.equal(snapshot);
  });

  for (const [what, make] of [
    ['cut in half', async (path: string) => writeFile(path, encodeSnapshot(snapshot).slice(0, 250))],
    ['of random bytes', async (path: string) => writeFile(path, Buffer.from([0xff, 0, 0x80, 10, 13, 0xc3]))],
    ['empty', async (path: string) => writeFile(path, '')],
    ['a directory', async (path: string) => void (await mkdir(path))],
    ['a link to itself', async (path: string) => symlink(path, path)],
  ] as const)
    it(`starts without one that is ${what}, with a warning that names it`, async () => {
      const { file, logger, path } = setUp(join(dir, 'checkout.json'));
      await make(path);
      expect(await file.read()).to.equal(undefined);
      expect(logger.of('warn')).to.have.length(1);
      expect(logger.of('warn')[0]?.fields.file).to.equal(path);
    });

  it('says once that it can not be written, tries at each change, and says when it can', async () => {
    await writeFile(join(dir, 'state'), 'a file where the directory should be');
    const { file, logger, path, clock, asked } = setUp();
    const anotherTry = (after: number) => {
      file.touch();
      clock.advance(1_000);
      return asked() > after;
    };
    for (let n = 0; n < 3; n++) await until(() => anotherTry(n), { what: `try ${n}` });
    expect(logger.of('warn')).to.have.length(1);
    expect(logger.of('warn')[0]?.fields.file).to.equal(path);
    await rm(join(dir, 'state'));
    await file.close();
    expect(await file.read()).to.deep.equal(snapshot);
    expect(logger.of('warn').at(-1)?.message).to.match(/written again/);
  });

  it('is whole whoever reads it while many write it', async () => {
    const path = join(dir, 'shared.json');
    const writers = [1, 2, 3, 4].map((boot) => setUp(path, () => ({ ...snapshot, boot })));
    let reads = 0;
    for (let round = 0; round < 10; round++) {
      const writing = writers.map(({ file, clock }) => {
        file.touch();
        clock.advance(1_000);
        return until(() => file.ageMs !== undefined, { what: 'a write' });
      });
      const reader = setUp(path);
      const seen = await reader.file.read();
      if (seen) reads++;
      expect(reader.logger.lines).to.deep.equal([]);
      await Promise.all(writing);
    }
    await Promise.all(writers.map(({ file }) => file.close()));
    expect(reads).to.be.greaterThan(0);
    expect(await readdir(dir)).to.deep.equal(['shared.json']);
  });

  it('tidies up what a process left that was killed while it wrote, and leaves what is fresh', async () => {
    const { file, path, clock } = setUp(join(dir, 'checkout.json'));
    for (const name of [`${path}.1-aa.tmp`, `${path}.2-bb.tmp`, join(dir, 'other.json.3-cc.tmp')])
      await writeFile(name, 'half');
    const old = new Date(clock.wallNow() - 7_200_000);
    await utimes(`${path}.1-aa.tmp`, old, old);
    await utimes(join(dir, 'other.json.3-cc.tmp'), old, old);
    file.touch();
    await file.close();
    expect((await readdir(dir)).sort()).to.deep.equal(
      ['checkout.json', 'checkout.json.2-bb.tmp', 'other.json.3-cc.tmp'].sort(),
    );
  });
});
