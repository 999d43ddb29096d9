/** From a profile to a picture and to lists of costs: small profiles made by hand, with known times. */
import { expect } from 'chai';
import { apart } from '../../bench/profile/apart.js';
import { costs } from '../../bench/profile/costs.js';
import { filled } from '../../bench/profile/document.js';
import { flame, limits } from '../../bench/profile/flame.js';
import { type CpuProfile, type Frame, frames, type ProfileNode } from '../../bench/profile/frames.js';

const ROOT = 'file:///somewhere/switchgear/';
const picture = { title: 'A & B', subtitle: 'made by hand' };

/** `url` null: a function of the machine. */
function node(id: number, functionName: string, url: string | null, children: number[] = []): ProfileNode {
  const script =
    url === null ? { scriptId: '0', url: '', lineNumber: -1 } : { scriptId: '9', url, lineNumber: 9 };
  return { id, callFrame: { functionName, ...script }, children };
}

/** Samples as [node, microseconds until the next]. */
function profile(nodes: readonly ProfileNode[], samples: readonly (readonly [number, number])[]): CpuProfile {
  const total = samples.reduce((sum, [, us]) => sum + us, 0);
  return {
    nodes,
    samples: [...samples.map(([id]) => id), nodes[0]?.id ?? 0],
    timeDeltas: [70, ...samples.map(([, us]) => us)],
    startTime: 1_000,
    endTime: 1_070 + total,
  };
}

/** serve → encode → writev, serve → serve → encode; a collection, waiting, and what is neither. */
const served = profile(
  [
    node(1, '(root)', null, [2, 7, 8, 9]),
    node(2, 'serve', `${ROOT}dist/control-plane/grpc/pump.js`, [3, 5]),
    node(3, 'encode', `${ROOT}node_modules/@grpc/grpc-js/build/src/server.js`, [4]),
    node(4, 'writev', null),
    node(5, 'serve', `${ROOT}dist/control-plane/grpc/pump.js`, [6]),
    node(6, '', 'node:internal/http2/core'),
    node(7, '(garbage collector)', null),
    node(8, '(idle)', null),
    node(9, '(program)', null),
  ],
  [
    [2, 100],
    [3, 200],
    [8, 5_000],
    [4, 300],
    [5, 50],
    [6, 150],
    [7, 150],
    [2, 50],
    [9, 25],
  ],
);

const share = (list: readonly { name: string; sharePercent: number }[], name: string) =>
  list.find((each) => each.name === name)?.sharePercent;

describe('frames of a profile', () => {
  const tree = frames(served, ROOT);

  it('sum what samples stand for, with waiting and the rest beside them', () => {
    expect(tree.root.totalUs).to.equal(1_000);
    expect(tree.idleUs).to.equal(5_000);
    expect(tree.programUs).to.equal(25);
    const [serve] = tree.root.children;
    expect([serve?.name, serve?.selfUs, serve?.totalUs]).to.deep.equal(['serve', 150, 850]);
  });

  it('are named by file and line from the root, by package, or as what they are', () => {
    const seen: string[] = [];
    const visit = ({ name, place, owner, children }: Frame): void => {
      seen.push(`${name} ${place} ${owner}`);
      children.forEach(visit);
    };
    tree.root.children.forEach(visit);
    expect(seen).to.deep.equal([
      'serve dist/control-plane/grpc/pump.js:10 ours',
      'encode @grpc/grpc-js/build/src/server.js:10 @grpc/grpc-js',
      'writev native @grpc/grpc-js',
      'serve dist/control-plane/grpc/pump.js:10 ours',
      '(anonymous) node:internal/http2/core:10 node http2',
      'garbage collector native gc',
    ]);
  });

  it('tell nothing of the machine about a file elsewhere', () => {
    const elsewhere = profile(
      [node(1, '(root)', null, [2]), node(2, 'f', 'file:///home/somebody/secret/a.js')],
      [[2, 10]],
    );
    expect(frames(elsewhere, ROOT).root.children[0]?.place).to.equal('a.js:10');
  });

  it('are one where V8 has several nodes of a function under a caller', () => {
    const url = `${ROOT}dist/a.js`;
    const twice = profile(
      [node(1, '(root)', null, [2, 3]), node(2, 'f', url), node(3, 'f', url)],
      [
        [2, 10],
        [3, 20],
      ],
    );
    expect(frames(twice, ROOT).root.children.map(({ totalUs }) => totalUs)).to.deep.equal([30]);
  });

  it('take a sample that came late for no time, not for a negative one', () => {
    const late = profile(
      [node(1, '(root)', null, [2, 3]), node(2, 'f', null), node(3, 'g', null)],
      [
        [2, -40],
        [3, 100],
      ],
    );
    expect(frames(late, ROOT).root.totalUs).to.equal(100);
  });

  it('are refused of a profile that is none', () => {
    expect(() => frames(profile([], []), ROOT)).to.throw('opens with the node "(root)"');
    const stranger = profile([node(1, '(root)', null)], [[7, 1]]);
    expect(() => frames(stranger, ROOT)).to.throw('sample 0 is of node 7');
  });
});

describe('costs of a profile', () => {
  const { self, inclusive, owners } = costs(frames(served, ROOT).root);

  it('are shares of the time that was not waited, largest first', () => {
    expect(self.map(({ name, sharePercent }) => [name, sharePercent])).to.deep.equal([
      ['writev', 30],
      ['serve', 20],
      ['encode', 20],
      ['(anonymous)', 15],
      ['garbage collector', 15],
    ]);
  });

  it('count a function that calls itself once', () => {
    expect(share(inclusive, 'serve')).to.equal(85);
    expect(share(inclusive, 'encode')).to.equal(50);
  });

  it('by owner add up to the whole', () => {
    expect(Object.fromEntries(owners.map(({ name, sharePercent }) => [name, sharePercent]))).to.deep.equal({
      '@grpc/grpc-js': 50,
      ours: 20,
      'node http2': 15,
      gc: 15,
    });
  });
});

/** x, width and tooltip of each frame. */
function boxes(svg: string): { x: number; width: number; y: number; title: string }[] {
  const pattern = /<g><title>(.*?)<\/title><rect x="(.*?)" y="(.*?)" width="(.*?)"/g;
  return [...svg.matchAll(pattern)].map(([, title = '', x, y, width]) => ({
    ...{ x: Number(x), width: Number(width), y: Number(y), title },
  }));
}

describe('a flame graph', () => {
  const svg = flame(frames(served, ROOT).root, picture);
  const of = (start: string) => boxes(svg).find(({ title }) => title.startsWith(start));

  it('has a title, a description and no script', () => {
    expect(svg).to.include('role="img" aria-labelledby="title desc"');
    expect(svg).to.include('<title id="title">A &amp; B</title>');
    expect(svg).to.include('<desc id="desc">made by hand.');
    expect(svg).not.to.include('<script');
  });

  it('draws what was called on top of its caller, as wide as its share', () => {
    const [all, serve, encode] = [of('all'), of('serve'), of('encode')];
    expect(serve?.width).to.equal(((all?.width ?? 0) * 85) / 100);
    expect(encode?.width).to.equal(((all?.width ?? 0) * 50) / 100);
    expect(encode?.y).to.be.lessThan(serve?.y ?? 0);
    expect(encode?.x).to.equal(serve?.x);
  });

  it('says in a tooltip what a frame took', () => {
    expect(of('encode')?.title).to.equal(
      'encode (@grpc/grpc-js/build/src/server.js:10): 50.0 %, 0.5 ms; itself 20.0 %',
    );
  });

  it('writes names that are markup as text', () => {
    const tree = frames(profile([node(1, '(root)', null, [2]), node(2, '<b>&"', null)], [[2, 10]]), ROOT);
    expect(flame(tree.root, picture)).to.include('<title>&lt;b&gt;&amp;&quot; (native): 100.0 %');
  });

  it('leaves out what is below a thousandth', () => {
    const url = `${ROOT}dist/a.js`;
    const tree = frames(
      profile(
        [node(1, '(root)', null, [2, 3, 4]), node(2, 'big', url), node(3, 'seen', url), node(4, 'gone', url)],
        [
          [2, 10_000],
          [3, 11],
          [4, 9],
        ],
      ),
      ROOT,
    );
    const names = boxes(flame(tree.root, picture)).map(({ title }) => title.split(/[: ]/)[0]);
    expect(names).to.deep.equal(['all', 'big', 'seen']);
  });

  it('stays below its bound by leaving out more, and says so', () => {
    const url = (i: number) => `${ROOT}dist/file-${i}.js`;
    const count = 800;
    const many = Array.from({ length: count }, (_, i) => node(i + 2, `function-${i}`, url(i)));
    const root = node(
      1,
      '(root)',
      null,
      many.map(({ id }) => id),
    );
    const tree = frames(
      profile(
        [root, ...many],
        many.map(({ id }) => [id, id]),
      ),
      ROOT,
    );
    const bounds = { bytesMax: 60_000, sharePercentMin: 0.1 };
    const whole = flame(tree.root, picture, { ...bounds, bytesMax: 1_000_000 });
    const bounded = flame(tree.root, picture, bounds);
    expect(Buffer.byteLength(whole)).to.be.greaterThan(bounds.bytesMax);
    expect(Buffer.byteLength(bounded)).to.be.at.most(bounds.bytesMax);
    expect(boxes(bounded)).to.have.length.greaterThan(10);
    expect(bounded).to.include('Frames below 0.2 % are left out.');
    expect(limits.bytesMax).to.be.at.most(200_000);
  });
});

describe('costs set apart', () => {
  const file = (name: string) => `${ROOT}dist/core/${name}.js`;
  const unnamedOf = (root: Frame, ...named: string[]) =>
    apart(root, named).unnamed.map(({ name, sharePercent }) => [name, Math.round(sharePercent)]);

  it('have what no other named one below them has', () => {
    const { root } = frames(served, ROOT);
    const [outer, inner] = [
      'serve dist/control-plane/grpc/pump.js',
      'encode @grpc/grpc-js/build/src/server.js',
    ];
    expect([...apart(root, [outer]).shares]).to.deep.equal([[outer, 85]]);
    expect([...apart(root, [outer, inner]).shares]).to.deep.equal([
      [outer, 35],
      [inner, 50],
    ]);
    expect(unnamedOf(root, outer)).to.deep.equal([['garbage collector', 15]]);
  });

  it('leave to Node and to packages what they did, without what they called back', () => {
    const grpc = `${ROOT}node_modules/@grpc/grpc-js/build/src/server.js`;
    const called = profile(
      [
        node(1, '(root)', null, [2]),
        node(2, 'emit', 'node:events', [3]),
        node(3, 'onData', grpc, [4]),
        node(4, 'hear', file('hear'), [5]),
        node(5, 'push', 'node:stream'),
      ],
      [
        [2, 10],
        [3, 20],
        [4, 30],
        [5, 40],
      ],
    );
    const { root } = frames(called, ROOT);
    expect(unnamedOf(root)).to.deep.equal([
      ['hear', 70],
      ['push', 40],
      ['onData', 20],
      ['emit', 10],
    ]);
  });

  it('count a function that calls itself once', () => {
    const url = file('twice');
    const again = profile(
      [node(1, '(root)', null, [2]), node(2, 'f', url, [3]), node(3, 'f', url)],
      [[3, 10]],
    );
    expect(unnamedOf(frames(again, ROOT).root)).to.deep.equal([['f', 100]]);
  });

  it("leave out the benchmark's own, and who calls it", () => {
    const bench = profile(
      [
        node(1, '(root)', null, [2]),
        node(2, 'loop', `${ROOT}bench/loop.ts`, [3]),
        node(3, 'guard', file('guard'), [4]),
        node(4, 'work', `${ROOT}bench/loop.ts`),
      ],
      [
        [2, 10],
        [3, 20],
        [4, 70],
      ],
    );
    expect(unnamedOf(frames(bench, ROOT).root)).to.deep.equal([['guard', 20]]);
  });
});

describe('the document of profiles', () => {
  const tree = frames(served, ROOT);
  const cpu = { processMs: 20, mainMs: 10, mainKernelMs: 0 };
  const section = { name: 'served', title: 'Served', made: 'today', cpu, tree, costs: costs(tree.root) };
  const text = [
    'By hand: <!-- share: served self serve dist/control-plane/grpc/pump.js -->?<!-- /share -->,',
    '<!-- share: served owner gc -->1 %<!-- /share --> and <!-- share: other owner gc -->2 %<!-- /share -->',
    '<!-- profile: served -->\nold\n<!-- /profile -->',
    '<!-- profile: other -->\nkept\n<!-- /profile -->',
  ].join('\n');

  it('gets new figures between its comments, and keeps the rest', () => {
    const { text: written, faults } = filled(text, [section]);
    expect(faults).to.deep.equal([]);
    expect(written).to.match(/^By hand: <!-- share: served self serve \S+ -->20\.0 %<!-- \/share -->,$/m);
    expect(written).to.include('<!-- share: served owner gc -->15.0 %<!-- /share -->');
    expect(written).to.include('| `writev` | native | @grpc/grpc-js | 30.0 % |');
    expect(written).to.include('Served. today.');
    expect(written).not.to.include('old');
    expect(written).to.include('<!-- share: other owner gc -->2 %<!-- /share -->');
    expect(written).to.include('kept');
    expect(filled(written, [section]).text).to.equal(written);
  });

  it('tells of a share of what is gone', () => {
    const gone = '<!-- share: served inclusive encode dist/gone.js -->3 %<!-- /share -->';
    const { text: written, faults } = filled(gone, [section]);
    expect(faults).to.have.length(1);
    expect(faults[0]).to.include('"served inclusive encode dist/gone.js", which that profile has not');
    expect(written).to.equal('<!-- share: served inclusive encode dist/gone.js -->none<!-- /share -->');
  });

  const pump = 'serve dist/control-plane/grpc/pump.js';
  const encode = 'encode @grpc/grpc-js/build/src/server.js';
  const collector = 'garbage collector native';
  const row = (what: string) => `| it | <!-- share: served cost ${what} -->?<!-- /share --> | nothing |`;
  const largest = (...rows: string[]) =>
    `<!-- largest: served -->\n| a | b | c |\n| --- | --- | --- |\n${rows.join('\n')}\n<!-- /largest -->`;
  const shares = (written: string) =>
    [...written.matchAll(/-->([^<|]*)<!-- \/share/g)].map(([, figure]) => figure);

  it('puts the largest costs in their order, none counted in another', () => {
    const { text: written, faults } = filled(largest(row(collector), row(pump), row(encode)), [section]);
    expect(shares(written)).to.deep.equal(['50.0 %', '35.0 %', '15.0 %']);
    expect(faults).to.deep.equal([]);
    expect(filled(written, [section]).text).to.equal(written);
  });

  it('adds up the functions of one cost', () => {
    const { text: written } = filled(largest(row(`${encode} + ${collector}`)), [section]);
    expect(shares(written)).to.deep.equal(['65.0 %']);
  });

  it('tells of a cost without a row that is larger than the third', () => {
    const { faults } = filled(largest(row(encode), row(collector), row('writev native')), [section]);
    expect(faults).to.have.length(1);
    expect(faults[0]).to.match(
      /of served: the third has 15 %, and without a row there are serve \S+pump\.js 35\.0 %;/,
    );
  });

  it('tells of fewer than three', () => {
    const { faults } = filled(largest(row(pump), row(encode)), [section]);
    expect(faults[0]).to.include(`has 2 rows, and without a row there are ${collector} 15.0 %`);
  });
});
