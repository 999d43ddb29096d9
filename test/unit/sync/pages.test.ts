/** Who is connected elsewhere: pages on their way, and the exchange that writes and reads only those that changed. */
import { expect } from 'chai';
import { Others, type OthersOptions, rowsOf } from '../../../control-plane/grpc/others.js';
import {
  decodePage,
  type Entry,
  encodePage,
  PAGES,
  type Page,
  pageOf,
} from '../../../control-plane/grpc/pages.js';
import type { ReplicaSummary } from '../../../control-plane/store/store.js';
import { keptLogger } from '../../support/logs.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const shared = { capabilities: ['timeout'], callees: ['inventory', 'mail'] };

function entry(instance: string, more: Partial<Entry['row']> = {}): Entry {
  return {
    boot: 5,
    connectedAtMs: 1_000,
    unackedSinceMs: undefined,
    row: {
      ...{ agent: `checkout/${instance}`, service: 'checkout', instance, zone: 'z', version: '1' },
      ...{ protocol: '1.2', dataset: 'd', sent: 9, acked: 8, applied: 7, refused: [], ...shared, ...more },
    },
  };
}

describe('a page of agents', () => {
  const page: Page = {
    life: 'abc',
    version: 3,
    entries: [
      entry('a'),
      { ...entry('b', { refused: [{ policy: 'p', revision: 8, reason: 'why' }] }), unackedSinceMs: 1_500 },
      entry('c', { notice: 'look', zone: 'y' }),
    ],
  };

  it('comes back as it went', () => {
    expect(decodePage(encodePage(page))).to.deep.equal(page);
  });

  it('says what agents have in common once', () => {
    const entries = Array.from({ length: 100 }, (_, i) => entry(`i${i}`));
    const body = encodePage({ ...page, entries });
    expect(body.split('mail')).to.have.length(2);
    expect(body.length / 100).to.be.below(40);
  });

  for (const body of ['', 'null', '[]', '{}', '{"format":1}'])
    it(`is not read from ${body || 'nothing'}`, () => expect(decodePage(body)).to.equal(undefined));

  it('survives rows of the wrong kind', () => {
    const rows = [null, [7, 'no such kind'], [0, 'a', 'x', 1, 2, 3, {}, 'y', [1, [2]], 4]];
    const read = decodePage(JSON.stringify({ format: 2, life: 'l', version: 1, kinds: [['s', 1]], rows }));
    // What has no kind is nobody.
    expect(read?.entries.map(({ row }) => row.agent)).to.deep.equal(['s/', 's/a']);
    expect(read?.entries[1]).to.deep.include({ boot: 0, connectedAtMs: 0, unackedSinceMs: undefined });
  });

  it('has as many agents as any other', () => {
    const counts = new Array<number>(PAGES).fill(0);
    for (let i = 0; i < 64_000; i++) {
      const at = pageOf(`checkout/pod-${i}`);
      counts[at] = (counts[at] ?? 0) + 1;
    }
    expect(Math.min(...counts)).to.be.above(700);
    expect(Math.max(...counts)).to.be.below(1_300);
  });
});

/** A store's boards, and what was written and read on them. */
class Boards {
  readonly bodies = new Map<string, Map<string, string>>();
  readonly written: string[] = [];
  readonly asked: string[] = [];
  away = false;

  async publishSummaries(all: readonly ReplicaSummary[], _ttlMs: number, board = 'roster'): Promise<void> {
    if (this.away) throw new Error('away');
    const bodies = this.bodies.get(board) ?? new Map<string, string>();
    this.bodies.set(board, bodies);
    for (const { replica, body } of all) {
      bodies.set(replica, body);
      this.written.push(`${board} ${replica}`);
    }
  }

  async summaries(board = 'roster', only?: readonly string[]): Promise<readonly ReplicaSummary[]> {
    if (this.away) throw new Error('away');
    this.asked.push(...(only ?? []));
    const bodies = this.bodies.get(board) ?? new Map<string, string>();
    return [...bodies].flatMap(([replica, body]) =>
      !only || only.includes(replica) ? [{ replica, body }] : [],
    );
  }
}

/** More than it takes to write all pages and to read them. */
const TURNS = PAGES;

/** Each second's work is done before the next one begins. */
async function pass(clock: VirtualClock, ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 1_000) {
    clock.advance(1_000);
    for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

class Replica {
  readonly #pages: readonly Entry[][] = Array.from({ length: PAGES }, () => []);
  #agents = 0;
  readonly fresh: Page[] = [];
  readonly others: Others;
  #touched = new Set<number>();
  #changed = true;

  constructor(replica: string, boards: Boards, clock: VirtualClock, life = `life of ${replica}`) {
    const options: OthersOptions = {
      ...{
        store: boards as OthersOptions['store'],
        clock,
        logger: keptLogger() as unknown as OthersOptions['logger'],
        replica,
        life,
      },
      summary: () => ({
        agents: this.#agents,
        ...{ circuits: [], health: new Map(), latencies: new Map() },
      }),
      entries: (page) => this.#pages[page] ?? [],
      takeChanged: () => {
        const changed = this.#changed;
        this.#changed = false;
        return changed;
      },
      takeTouched: () => {
        const touched = this.#touched;
        this.#touched = new Set();
        return touched;
      },
      read: (_, fresh) => this.fresh.push(...fresh),
    };
    this.others = new Others(options);
  }

  come(one: Entry): void {
    const page = pageOf(one.row.agent);
    this.#agents++;
    this.#pages[page]?.push(one);
    this.#touched.add(page);
    this.#changed = true;
  }

  rows() {
    return this.others.views().flatMap((view) => [...rowsOf(view)]);
  }
}

describe('the exchange of rosters', () => {
  const setup = async () => {
    const clock = new VirtualClock();
    const boards = new Boards();
    const both = { a: new Replica('a', boards, clock), b: new Replica('b', boards, clock) };
    await pass(clock, 1_000);
    return { clock, boards, ...both };
  };

  it('tells of an agent within two rounds, with its ages as of now', async () => {
    const { clock, a, b } = await setup();
    await pass(clock, 5_000);
    a.come({ ...entry('x'), connectedAtMs: 4_000, unackedSinceMs: 4_500 });
    await pass(clock, 2_000);
    expect(b.rows()).to.have.length(1);
    expect(b.rows()[0]).to.deep.include({
      ...{ agent: 'checkout/x', replica: 'a', connectedMs: clock.now() - 4_000 },
      staleMs: clock.now() - 4_500,
    });
    expect(b.others.bootOf('checkout/x')).to.equal(5);
    expect(a.rows()).to.deep.equal([]);
  });

  it('writes and reads the page of the agent that came, and no other', async () => {
    const { clock, boards, a, b } = await setup();
    for (let i = 0; i < 1_000; i++) a.come(entry(`i${i}`));
    await pass(clock, 3_000);
    expect(b.rows()).to.have.length(1_000);
    boards.written.length = 0;
    boards.asked.length = 0;
    b.fresh.length = 0;
    a.come(entry('another'));
    await pass(clock, 2_000);
    const at = `a ${pageOf('checkout/another')}`;
    expect(b.rows()).to.have.length(1_001);
    expect(boards.asked).to.deep.equal([at]);
    expect(b.fresh).to.have.length(1);
    // And one in each round for those whose memory is short.
    const pages = boards.written.filter((each) => each.startsWith('pages a'));
    expect(pages).to.include(`pages ${at}`);
    expect(pages).to.have.length.within(3, 4);
  });

  it('has each page written again within 64 rounds, so that a store that lost it has it again', async () => {
    const { clock, boards, a } = await setup();
    for (let i = 0; i < 1_000; i++) a.come(entry(`i${i}`));
    await pass(clock, 3_000);
    boards.bodies.get('pages')?.clear();
    await pass(clock, PAGES * 1_000);
    expect(boards.bodies.get('pages')?.size).to.equal(PAGES);
  });

  it('writes what it could not write once the store is back', async () => {
    const { clock, boards, a, b } = await setup();
    await pass(clock, 2_000);
    boards.away = true;
    a.come(entry('x'));
    await pass(clock, 5_000);
    expect(b.rows()).to.deep.equal([]);
    boards.away = false;
    await pass(clock, 2_000);
    expect(b.rows().map(({ agent }) => agent)).to.deep.equal(['checkout/x']);
  });

  it('reads of very many agents some twenty thousand a round, and all in turn', async () => {
    const { clock, boards, a, b } = await setup();
    const c = new Replica('c', boards, clock);
    await pass(clock, 2_000);
    for (let i = 0; i < 15_000; i++) {
      a.come(entry(`a${i}`));
      c.come(entry(`c${i}`));
    }
    const counts: number[] = [];
    for (let round = 0; round < 4; round++) {
      const before = b.rows().length;
      await pass(clock, 1_000);
      counts.push(b.rows().length - before);
    }
    expect(Math.max(...counts)).to.be.within(20_000, 28_000);
    expect(b.rows()).to.have.length(30_000);
  });

  it('forgets the agents of a replica that leaves, and of one that has begun another life', async () => {
    const { clock, boards, a, b } = await setup();
    a.come(entry('x'));
    await pass(clock, 2_000);
    expect(b.rows()).to.have.length(1);
    await a.others.close();
    await pass(clock, 1_000);
    expect(b.rows()).to.deep.equal([]);
    const again = new Replica('a', boards, clock, 'another life');
    again.come(entry('y'));
    await pass(clock, 3_000);
    expect(b.rows().map(({ agent }) => agent)).to.deep.equal(['checkout/y']);
  });
});
