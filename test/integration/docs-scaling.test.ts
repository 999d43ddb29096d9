/**
 * docs/scaling.md is true: each figure that names a row of docs/benchmarks.md is within a third of what stands there now, bytes are those
 * that the encoders make, and what the page computes from them comes out. What replicas tell each other is measured by
 * `npm run bench:exchange` (`test/simulation/exchange.ts`). Titles are read from the page's own tables: to follow a row that got
 * another title, or a run that came out otherwise, change the page.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { defaultAdmission } from '../../control-plane/grpc/admission.js';
import { defaultConnectionAge, toldPerSecondMax } from '../../control-plane/grpc/age.js';
import { PAGES } from '../../control-plane/grpc/pages.js';
import { readDocument, root } from '../support/markdown.js';
import {
  AGENTS_EACH,
  accountBody,
  FRAMING_BYTES,
  heartbeatBytes,
  pageBodies,
  reportBytes,
  summaryBody,
} from '../support/mesh-bodies.js';

const page = readDocument('docs/scaling.md');
const benchmarks = tableRows(readDocument('docs/benchmarks.md'));

/** How far a round figure may be from the measured one, and a computed one from what comes out. */
const MEASURED_OFF = 1 / 3;
const COMPUTED_OFF = 0.06;

function tableRows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
    .map((line) =>
      line
        .slice(1, -1)
        .split(' | ')
        .map((cell) => cell.trim()),
    );
}

interface Figure {
  /** In µs, bytes, or as it stands. */
  readonly value: number;
  readonly kind: 'time' | 'bytes' | '%' | '×' | 'count';
}

const units: Readonly<Record<string, readonly [Figure['kind'], number]>> = {
  ...{ µs: ['time', 1], ms: ['time', 1e3], s: ['time', 1e6] },
  ...{ B: ['bytes', 1], bytes: ['bytes', 1], KB: ['bytes', 1e3], MB: ['bytes', 1e6], 'MB/s': ['bytes', 1e6] },
  ...{ '%': ['%', 1], '×': ['×', 1] },
};

function figures(cell: string): Figure[] {
  return [...cell.matchAll(/(\d[\d,]*(?:\.\d+)?)(?: ([^\s,;]+))?/g)].map(([, number = '', unit = '']) => {
    const [kind, scale] = units[unit] ?? ['count', 1];
    return { value: Number(number.replaceAll(',', '')) * scale, kind };
  });
}

const first = (cell: string): Figure => figures(cell)[0] ?? { value: Number.NaN, kind: 'count' };

const rows = tableRows(page);

/** The first figure of this row of the page, in µs, bytes, or as it stands. */
function said(name: string, column = 1): number {
  const row = rows.find(([what]) => what === name);
  expect(row, `docs/scaling.md has no row "${name}"`).not.to.equal(undefined);
  return first(row?.[column] ?? '').value;
}

/** Rows of tables that have a source: heads end with that word, and what follows up to the next head is of them. */
function sourced(): { what: string; figure: string; source: string }[] {
  const found: { what: string; figure: string; source: string }[] = [];
  for (const table of page.split(/\n\n+/)) {
    const [head = [], ...body] = tableRows(table);
    if (head.at(-1) !== 'Source') continue;
    for (const [what = '', figure = '', source = ''] of body) found.push({ what, figure, source });
  }
  return found;
}

/** What a source says now: of the same kind as the figure, the first of them, or the second. */
function measured(source: string, kind: Figure['kind']): number {
  const [, title = ''] = /`([^`]+)`/.exec(source) ?? [];
  const row = benchmarks.find(([what]) => what === title);
  expect(row, `docs/benchmarks.md has no row "${title}", which docs/scaling.md names`).not.to.equal(
    undefined,
  );
  const [, value = '', , ratio = ''] = row ?? [];
  const cell = source.startsWith('title of') ? title : source.endsWith('last column') ? ratio : value;
  const alike = figures(cell).filter((each) => each.kind === kind || source.startsWith('title of'));
  return alike[source.endsWith('second') ? 1 : 0]?.value ?? first(cell).value;
}

function isNear(value: number, right: number, off: number, what: string): void {
  expect(Math.abs(value - right), `${what}: the page says ${value}, it is ${right}`).to.be.at.most(
    off * Math.abs(right),
  );
}

describe('docs/scaling.md', () => {
  const all = sourced();

  it('has sources', () => {
    expect(all).to.have.length.above(40);
    for (const { what, source } of all) expect(source, what).to.match(/`[^`]+`/);
  });

  for (const { what, figure, source } of all.filter((each) => !each.source.includes('.ts`')))
    it(`says of "${what}" what the benchmark says: ${source}`, () => {
      const { value, kind } = first(figure);
      isNear(value, measured(source, kind), MEASURED_OFF, what);
    });

  it('says how many bytes the encoders make', async () => {
    const bytes: Readonly<Record<string, number>> = {
      report: reportBytes(),
      heartbeat: heartbeatBytes(),
      framing: FRAMING_BYTES,
      roster: pageBodies().reduce((sum, body) => sum + Buffer.byteLength(body), 0) / AGENTS_EACH,
      account: Buffer.byteLength(await accountBody()),
    };
    const encoded = all.filter(({ source }) => source.includes('.ts`'));
    expect(encoded).to.have.length(Object.keys(bytes).length);
    for (const { what, figure, source } of encoded) {
      const name = source.split(', ').at(-1) ?? '';
      isNear(first(figure).value, bytes[name] ?? Number.NaN, 0.1, what);
    }
    const [, base, each] = /its own, about (\d+) KB and (\d+) bytes for each circuit/.exec(page) ?? [];
    const none = Buffer.byteLength(summaryBody('r'));
    isNear(Number(base) * 1000, none, 0.1, 'a summary');
    isNear(Number(each), (Buffer.byteLength(summaryBody('r', 1000)) - none) / 1000, 0.1, 'an open circuit');
  });
});

describe('what docs/scaling.md computes', () => {
  const AGENTS = 100_000;
  const MESHES = 10;
  const replicas = 12;
  const each = AGENTS / replicas;
  const MB = 1e6;
  const framing = said('bytes of HTTP/2 and gRPC around each message');
  const row = said('bytes of an agent in the roster that replicas tell each other');
  const circuits = 100 / 20;
  const readMax = constant('control-plane/grpc/others.ts', 'READ_MAX');
  const ageS = 60 * Number(/^(\d+)m$/.exec(defaultConnectionAge)?.[1]);

  /** Pages of one replica that change in a second, while every agent moves once in a connection's age. */
  const pagesOf = (agents: number, seconds: number) =>
    PAGES * (1 - Math.exp(-(2 * agents) / seconds / PAGES));
  const rosters = (count: number, agents: number, seconds: number) =>
    Math.min(count * (count - 1) * pagesOf(agents, seconds) * (agents / PAGES) * row, count * readMax * row);
  const reports = (agents: number) =>
    agents * (said('bytes of a report with four cells and their latencies') + framing);
  const leases = (agents: number) =>
    (agents / 20 / 500) * said('bytes to Redis for 500 leases, which are renewed every 20 s');

  const fromRedis = replicas * said('one replica while nothing happens, read');
  const accounts = replicas * circuits * said("one replica's accounts of 20 circuits, read");
  const whole = fromRedis + accounts + rosters(replicas, each, ageS);
  const toRedis =
    replicas *
      (said('one replica while nothing happens, written') +
        circuits * said("one replica's accounts of 20 circuits, written") +
        pagesOf(each, ageS) * (each / PAGES) * row) +
    leases(AGENTS);
  const readRows = (replicas - 1) * pagesOf(each, ageS) * (each / PAGES);
  const cpuUs =
    replicas *
      (said('one replica while nothing happens, of Redis') +
        circuits * said("one replica's accounts of 20 circuits, of Redis") +
        (readRows / readMax) * said('one replica that reads of 20,000 agents elsewhere, of Redis')) +
    (AGENTS / 20 / 500) * said('500 leases renewed');

  const needs: readonly (readonly [string, number])[] = [
    ['replicas', 1.2 * (AGENTS / AGENTS_EACH)],
    ['reports to replicas', reports(AGENTS)],
    [
      'heartbeats both ways, where nobody reports',
      (AGENTS * 2 * (said('bytes of a heartbeat') + framing)) / 15,
    ],
    ['a policy change to all', AGENTS * (said('bytes of a policy change, to each agent') + framing)],
    ['a directive to all', AGENTS * (said('bytes of a directive, to each agent') + framing)],
    ['from Redis, nothing happens', fromRedis],
    ['from Redis, accounts of 100 circuits of each mesh', accounts],
    ['from Redis, rosters', rosters(replicas, each, ageS)],
    ['from Redis, in all', whole],
    ['to Redis', toRedis],
    ['CPU of Redis', cpuUs / 1e4],
    ['steady traffic', reports(AGENTS) + whole + toRedis],
    ['a change acknowledged by all, rosters', replicas * (replicas - 1) * each * row],
    [
      'an outage, 5,000 circuits open at each replica, from Redis',
      replicas * said('one replica while 5,000 circuits are open at each, read'),
    ],
  ];

  for (const [what, value] of needs)
    it(`comes out: ${what}`, () => {
      isNear(said(what, 2), value, COMPUTED_OFF, what);
      isNear(said(what, 3), MESHES * value, COMPUTED_OFF, `${what}, 1,000,000`);
    });

  /** With one replica away. */
  const memory = (agents: number, count: number) => {
    const here = agents / (count - 1);
    return (
      said('memory of a replica without agents') +
      here * said('memory of a replica, for each connected agent') +
      (agents - here) * said('memory of a replica, for each agent of another')
    );
  };

  it('comes out: memory of each replica', () => {
    for (const column of [2, 3])
      isNear(said('memory of each', column), memory(AGENTS, replicas), COMPUTED_OFF, 'memory');
  });

  it('comes out: the table at the top', () => {
    for (const [name, meshes, count, agents] of [
      ['1,000', 1, 2, 1_000],
      ['10,000', 1, 2, 10_000],
      ['100,000', 1, replicas, AGENTS],
      ['1,000,000', MESHES, replicas * MESHES, AGENTS * MESHES],
    ] as const) {
      expect([said(name, 1), said(name, 2)], name).to.deep.equal([meshes, count]);
      isNear(said(name, 3), memory(agents / meshes, count / meshes), COMPUTED_OFF, `${name}: memory`);
      const changed = agents * (said('bytes of a policy change, to each agent') + framing);
      isNear(said(name, 6), changed, 0.15, `${name}: change`);
      if (count > 2) isNear(said(name, 5), said('steady traffic', meshes === 1 ? 2 : 3), 0, name);
      else isNear(said(name, 5), ofTwo(agents), COMPUTED_OFF, `${name}: steady traffic`);
    }
  });

  /** Of two replicas, which the benchmark has measured apart. */
  function ofTwo(agents: number): number {
    const of = (source: string) => measured(source, 'bytes');
    const all = [
      '`2 replicas, nothing happens: bytes`',
      '`2 replicas, accounts of 20 circuits: bytes`',
    ] as const;
    const [quiet, active] = all.map((source) => of(source) + of(`${source}, second`)) as [number, number];
    const moves = 2 * rosters(2, agents / 2, ageS);
    return reports(agents) + 2 * (quiet + circuits * active) + moves + leases(agents);
  }

  it('comes out: masters', () => {
    const [, most] = /more than (\d+) MB\/s, half of 1 Gbit\/s/.exec(page) ?? [];
    const rest = rosters(replicas, each, ageS) + fromRedis;
    const [, alone] = /three from some (\d+) active circuits on/.exec(page) ?? [];
    isNear(
      Number(alone),
      ((Number(most) * MB - rest) / accounts) * 100,
      COMPUTED_OFF,
      'circuits of one master',
    );
    for (const [column, count] of [100, 500, 1_000].entries()) {
      const sent = (replicas * count * said("one replica's accounts of 20 circuits, read")) / 20;
      let masters = 1;
      while (rest + sent / masters > Number(most) * MB) masters++;
      isNear(said('accounts, from Redis', column + 1), sent, COMPUTED_OFF, `${count} circuits`);
      expect(said('masters, for each mesh', column + 1), `${count} circuits`).to.equal(masters);
      expect(said('masters, for 1,000,000 agents in ten meshes', column + 1)).to.equal(MESHES * masters);
    }
  });

  it('comes out: what limits a mesh', () => {
    const number = (pattern: RegExp) => Number(pattern.exec(page)?.[1]?.replaceAll(',', ''));
    const heard = constant('core/coordination/watched-circuit.ts', 'ACCOUNTS_MAX');
    expect(number(/hears (\d+) other replicas/)).to.equal(heard);
    expect(number(/more than (\d+) replicas each/)).to.equal(heard + 1);
    const outage = said('one replica while 5,000 circuits are open at each, written');
    isNear(number(/At 65 each .*, (\d+) MB\/s from one master/) * MB, 65 * readMax * row, COMPUTED_OFF, '65');
    isNear(number(/\n\s+(\d+) s; 120 would take/), (64 * AGENTS_EACH) / readMax, COMPUTED_OFF, 'elsewhere');
    isNear(number(/120 would take (\d+) MB\/s/) * MB, 120 * readMax * row, COMPUTED_OFF, '120');
    isNear(number(/An outage would be ([\d,]+) MB\/s at 65/) * MB, 65 ** 2 * outage, COMPUTED_OFF, 'outage');
    isNear(number(/eight take (\d+) MB\/s/) * MB, 8 ** 2 * outage, COMPUTED_OFF, 'eight');
    isNear(
      number(/1 Gbit\/s, and (\d+) % of its core/),
      (replicas * said('one replica while 5,000 circuits are open at each, of Redis')) / 1e4,
      COMPUTED_OFF,
      'CPU of an outage',
    );
    // Eighteen replicas can just follow each other's agents.
    const wanted = (count: number) => (count - 1) * pagesOf(each, ageS) * (each / PAGES);
    expect(page).to.include('Eighteen replicas of 8,333 agents');
    expect(wanted(18)).to.be.below(readMax);
    expect(wanted(19)).to.be.above(readMax);
    isNear(number(/With `24h` it is ([\d.]+) MB\/s/) * MB, rosters(replicas, each, 86_400), 0.1, '24h');
    isNear(number(/and ([\d,]+) rows a second each/), readRows, COMPUTED_OFF, 'rows');
    isNear(number(/they are on ([\d.]+) of its 64 pages/), pagesOf(each, ageS), COMPUTED_OFF, 'pages');
  });

  it('says of code what the code says', () => {
    expect(page).to.include(`reads of ${readMax.toLocaleString('en')} agents a second at most`);
    expect(page).to.include(`${defaultAdmission.burst.toLocaleString('en')} streams at once`);
    expect(page).to.include(`${defaultAdmission.perSecond.toLocaleString('en')} a second more`);
    expect(page).to.include(`at most ${toldPerSecondMax} a second`);
    for (const [file, name, value] of [
      ['core/coordination/blob.ts', 'BODY_MAX_BYTES', 12_000],
      ['control-plane/grpc/summary.ts', 'CIRCUITS_MAX', 5_000],
      ['control-plane/registry/leases.ts', 'RENEW_EVERY_MS', 20_000],
      ['control-plane/registry/leases.ts', 'BATCH_MAX', 500],
    ] as const)
      expect(constant(file, name), `${file}: ${name}`).to.equal(value);
    const scenario = readFileSync(join(root, 'test/simulation/scenarios/large.txt'), 'utf8');
    for (const line of [
      'replicas 20',
      'callers 100000 ',
      'expect all-open <= 1s',
      'expect store-operations-per-second <= 100',
    ])
      expect(scenario).to.include(line);
  });
});

function constant(file: string, name: string): number {
  const [, value = ''] =
    new RegExp(`const ${name} = ([\\d_]+);`).exec(readFileSync(join(root, file), 'utf8')) ?? [];
  return Number(value.replaceAll('_', '') || Number.NaN);
}
