/**
 * The notes of explain: what holds for a call and doesn't show in its fields. Word for word, since people act on them.
 */
import { expect } from 'chai';
import { capabilities } from '../../../core/policy/capabilities.js';
import { explain, type Note, PolicyIndex } from '../../../core/policy/index.js';
import { revisions } from './helpers.js';

const query = { from: 'checkout', to: 'inventory', method: 'shop.v1.Inventory/Reserve' };
/** An agent of a release before this one. */
const older = ['timeout', 'attemptTimeout', 'streamTimeout', 'idempotent', 'circuit', 'bulkhead'];

function notesOf(documents: object[], able: readonly string[] | undefined, to = query.to): string[] {
  const { notes } = explain(
    new PolicyIndex(revisions(...documents)),
    { ...query, to },
    able && [{ capabilities: able }],
  );
  return notes.map(({ kind, message }) => `${kind}: ${message}`);
}

/** Of one policy for everything with this spec, to agents of this release. */
function notesOfSpec(spec: object, kind?: Note['kind']): string[] {
  const notes = notesOf([{ policy: 'p', match: { to: '*' }, spec }], capabilities);
  return kind === undefined ? notes : notes.filter((note) => note.startsWith(`${kind}: `));
}

describe('notes', () => {
  it('say that nothing protects the call', () => {
    const off = { policy: 'p', match: { to: '*' }, mode: 'off', spec: { timeout: '1s' } };
    expect(notesOf([off], older)).to.deep.equal([
      'unprotected: no policy in force says anything about these calls: they run unprotected',
    ]);
  });

  it('say nothing of the sections that every call has', () => {
    const spec = {
      timeout: '1s',
      attemptTimeout: '300ms',
      idempotent: true,
      circuit: {},
      bulkhead: { maxConcurrent: 'auto', shares: { critical: '50%' }, per: 'method' },
      rateLimit: { rate: 5, scope: 'cluster', by: 'method' },
      admission: {},
      classify: { NOT_FOUND: 'failure' },
      fallback: [{ error: { status: 'UNAVAILABLE' } }],
    };
    expect(notesOfSpec(spec)).to.deep.equal([]);
  });

  describe('of what agents refuse', () => {
    const sections: readonly (readonly [spec: object, ...names: string[]])[] = [
      [{ retry: {} }, 'retry'],
      [{ hedge: {}, idempotent: true }, 'hedge'],
      [{ rateLimit: { rate: 1, scope: 'cluster' } }, 'rateLimit'],
      [{ admission: {} }, 'admission'],
      [{ outlier: {} }, 'outlier'],
      [{ classify: {} }, 'classify'],
      [{ fallback: [{ static: 1 }] }, 'fallback'],
      [{ bulkhead: { maxConcurrent: 'auto' } }, 'bulkhead.auto'],
      [{ bulkhead: { maxConcurrent: 9, shares: { critical: '50%' } } }, 'bulkhead.shares'],
      [{ bulkhead: { maxConcurrent: 9, per: 'method' } }, 'bulkhead.per'],
      [{ retry: {}, classify: {} }, 'retry', 'classify'],
    ];
    for (const [spec, ...names] of sections)
      it(`name ${names.join(' and ')}, and only for agents that lack it`, () => {
        const document = { policy: 'p', match: { to: '*' }, spec };
        const refused = (able: readonly string[] | undefined) =>
          notesOf([document], able).filter((note) => note.startsWith('refused'));
        expect(refused(older)).to.deep.equal([
          `refused: p@1 is refused whole by agents that can't enforce ${names.join(', ')}; they keep the revision they had`,
        ]);
        expect(refused(capabilities)).to.deep.equal([]);
        expect(refused(undefined)).to.deep.equal([]);
      });

    it('name a rollout, which older agents can not do', () => {
      const document = { policy: 'p', match: { to: '*' }, spec: { timeout: '1s' }, rollout: { percent: 10 } };
      expect(notesOf([document], capabilities)).to.deep.equal(['rollout: p@1 reaches 10 % of the instances']);
      expect(notesOf([document], ['timeout'])).to.deep.equal([
        'rollout: p@1 reaches 10 % of the instances',
        "refused: p@1 is refused whole by agents that can't enforce rollout; they keep the revision they had",
      ]);
    });
  });

  describe('of a cluster scope', () => {
    const approximated = (spec: object, able: readonly string[] | undefined) =>
      notesOf([{ policy: 'p', match: { to: '*' }, spec }], able).filter((note) =>
        note.startsWith('approximated'),
      );

    it('of a circuit say so only of agents that take no directions', () => {
      const cluster = { circuit: { scope: 'cluster' } };
      expect(approximated(cluster, older)).to.deep.equal([
        'approximated: circuit.scope: cluster of p@1 is enforced by each agent for itself',
      ]);
      expect(approximated(cluster, capabilities)).to.deep.equal([]);
      expect(approximated(cluster, undefined)).to.deep.equal([]);
    });

    it('say nothing of agents that refuse the policy whole, and whom they are about', () => {
      const document = {
        policy: 'p',
        match: { to: '*' },
        spec: { rateLimit: { rate: 5, scope: 'cluster' } },
      };
      expect(approximated(document.spec, older)).to.deep.equal([]);
      const groups = [
        {
          capabilities: older,
          who: '1 of 3 agents (version 1)',
          keep: (policy: string) => `they keep ${policy}@0`,
        },
        { capabilities: ['rateLimit'], who: '2 of 3 agents (version 2)' },
      ];
      const { notes } = explain(new PolicyIndex(revisions(document)), query, groups);
      expect(notes.map(({ message }) => message)).to.deep.equal([
        "p@1 is refused whole by 1 of 3 agents (version 1), which can't enforce rateLimit; they keep p@0",
        'rateLimit.scope: cluster of p@1 is enforced by 2 of 3 agents (version 2), each for itself',
      ]);
    });

    it('of a rate limit say so only of agents that are not granted any', () => {
      const cluster = { rateLimit: { rate: 5, scope: 'cluster' } };
      expect(approximated(cluster, [...older, 'rateLimit'])).to.deep.equal([
        'approximated: rateLimit.scope: cluster of p@1 is enforced by each agent for itself',
      ]);
      expect(approximated(cluster, capabilities)).to.deep.equal([]);
      expect(approximated(cluster, undefined)).to.deep.equal([]);
    });
  });

  it('say what a policy in shadow would change', () => {
    const base = { policy: 'base', match: { to: '*' }, spec: { timeout: '1s', circuit: {} } };
    const spec = { timeout: '2s', bulkhead: null, admission: {} };
    const shadow = { policy: 's', match: { to: 'inventory' }, mode: 'shadow', spec };
    expect(notesOf([base, shadow], capabilities)).to.deep.equal([
      'shadow: s@2 is in shadow: enforced, it would change timeout, admission',
    ]);
  });

  describe('of what has no effect', () => {
    const table: readonly (readonly [title: string, spec: object, note: string])[] = [
      [
        'a slow call that no attempt lasts for',
        { attemptTimeout: '300ms', circuit: { slowCall: '500ms' } },
        'circuit.slowCall of p@1 must be at most attemptTimeout (300ms); got 500ms, and no attempt lasts that long',
      ],
      [
        'settings of a cluster that is not asked for',
        { circuit: { cluster: { quorum: '10%' } } },
        'circuit.cluster of p@1 has no effect while scope is local',
      ],
      [
        'a retry of what is not idempotent',
        { retry: {} },
        'retry of p@1 repeats only what was provably never sent, since idempotent is not true',
      ],
      [
        'a retry of one attempt',
        { retry: { attempts: 1, backoff: { base: '5s', max: '5s' } }, timeout: '1s' },
        'retry of p@1 tries nothing again with attempts: 1',
      ],
      [
        'a pause as long as the call, by default too',
        { timeout: '25ms', idempotent: true, retry: {} },
        'retry.backoff.base of p@1 must be below timeout (25ms); got 25ms, and most calls are over before their retry starts',
      ],
      [
        'a retry of what is hedged',
        { idempotent: true, retry: {}, hedge: {} },
        'retry of p@1 tries no call again that is hedged (by p@1); its on and budget hold for the hedges',
      ],
      [
        'shares that come to no call',
        {
          bulkhead: {
            maxConcurrent: 9,
            shares: { critical: '50%', sheddable: '11%', 'critical-plus': '1%' },
          },
        },
        'bulkhead.shares of p@1 guarantee nothing to critical-plus (1%), sheddable (11%): less than one call of maxConcurrent 9',
      ],
      [
        'a burst that the mesh never grants at once',
        { rateLimit: { rate: 600, per: '1m', burst: 100, scope: 'cluster' } },
        'rateLimit.burst of p@1 has no effect above 10, what the mesh is granted at a time with scope: cluster',
      ],
    ];
    for (const [title, spec, note] of table)
      it(`tell ${title}`, () => expect(notesOfSpec(spec, 'idle')).to.deep.equal([`idle: ${note}`]));

    for (const [title, spec] of [
      ['an eleventh of nine and a bit', { bulkhead: { maxConcurrent: 9, shares: { critical: '11.2%' } } }],
      ['shares of an adaptive limit', { bulkhead: { maxConcurrent: 'auto', shares: { critical: '1%' } } }],
      ['a burst of each agent', { rateLimit: { rate: 600, per: '1m', burst: 900 } }],
      ['a burst that is only filled in', { rateLimit: { rate: 600, per: '1m', scope: 'cluster' } }],
      ['a rate of less than one a second', { rateLimit: { rate: 1, per: '1h', burst: 1, scope: 'cluster' } }],
      ['a pause below the call', { timeout: '26ms', idempotent: true, retry: {} }],
    ] as const)
      it(`tell nothing of ${title}`, () => expect(notesOfSpec(spec, 'idle')).to.deep.equal([]));

    it('tell an outlier section of a method', () => {
      const match = { to: 'inventory', method: query.method };
      expect(notesOf([{ policy: 'p', match, spec: { outlier: {} } }], capabilities)[0]).to.equal(
        'idle: outlier of p@1 has no effect: it is about instances, and is taken from policies without match.method alone',
      );
    });
  });

  describe('of what is about some kinds of calls', () => {
    const table: readonly (readonly [spec: object, ...notes: string[]])[] = [
      [{ streamTimeout: '1m' }, 'streamTimeout of p@1 is about calls whose response streams'],
      [
        { idempotent: true, retry: {} },
        'retry of p@1 is about unary calls and server streams, until response headers arrive; no other stream is tried again',
      ],
      [{ idempotent: true, hedge: {} }, 'hedge of p@1 is about unary calls; no stream is hedged'],
      [{ outlier: {} }, 'outlier of p@1 is about clients of mesh.client, which choose among the instances'],
      [
        { fallback: [{ cache: { maxAge: '1s' } }, { error: { status: 'NOT_FOUND' } }] },
        'fallback (cache) of p@1 is about unary calls; a stream falls back to error alone',
      ],
      [
        { fallback: [{ target: { to: 'spare' } }] },
        'fallback (target) of p@1 is about unary calls; a stream falls back to error alone',
        'fallback (target) of p@1 is about mesh.client, mesh.fetch and mesh.dispatcher, which know where the target is; elsewhere it is passed over',
      ],
    ];
    for (const [spec, ...notes] of table)
      it(`tell ${notes[0]?.split(' ')[0]} ${JSON.stringify(spec)}`, () =>
        expect(notesOfSpec(spec, 'partial')).to.deep.equal(notes.map((note) => `partial: ${note}`)));
  });

  describe('of hedges under outlier detection', () => {
    const match = { to: 'inventory', method: query.method };
    const hedged = { policy: 'h', match, spec: { idempotent: true, hedge: {} } };
    const watched = { policy: 'o', match: { to: 'inventory' }, spec: { outlier: {} } };
    const interplay = (...documents: object[]) =>
      notesOf(documents, capabilities).filter((note) => note.startsWith('interplay'));

    it('say that what a hedge cancels counts against well instances, whichever policies the two come from', () => {
      const note =
        'outlier of o@2 counts each attempt that hedge of h@1 cancels, since another came first, as a failure of its instance, and may leave well ones out: ' +
        'take one of the two, or a hedge.delay that few calls reach and a higher outlier.failureRate';
      expect(interplay(hedged, watched)).to.deep.equal([`interplay: ${note}`]);
      const both = { policy: 'p', match: { to: '*' }, spec: { ...hedged.spec, outlier: {} } };
      expect(interplay(both)[0]).to.match(/^interplay: outlier of p@1 counts .* hedge of p@1/);
      // An outlier section of a method has no effect itself, and hides none that has.
      const idle = { ...hedged, spec: { ...hedged.spec, outlier: { interval: '1s' } } };
      expect(interplay(idle, watched)).to.deep.equal([`interplay: ${note}`]);
    });

    it('say nothing where one of the two does nothing', () => {
      expect(interplay(hedged)).to.deep.equal([]);
      expect(interplay(watched)).to.deep.equal([]);
      expect(interplay({ ...hedged, spec: { ...hedged.spec, outlier: {} } })).to.deep.equal([]);
      expect(interplay(hedged, { ...watched, mode: 'off' })).to.deep.equal([]);
      expect(interplay({ ...hedged, mode: 'shadow' }, watched)).to.deep.equal([]);
    });
  });

  describe('of calls into the service itself', () => {
    it('name the sections that are not enforced there, and who gives them', () => {
      // `*` is every callee of this service, and so not the service itself.
      const base = { policy: 'base', match: { to: '*' }, spec: { hedge: null, admission: {} } };
      const general = {
        policy: 'all',
        match: { to: 'self' },
        spec: { timeout: '1s', retry: {}, outlier: {} },
      };
      const inbound = {
        policy: 'in',
        match: { to: 'self', from: 'checkout' },
        spec: { bulkhead: { maxConcurrent: 5 }, circuit: {} },
      };
      expect(notesOf([base, general, inbound], capabilities, 'self')).to.deep.equal([
        'idle: timeout, retry, circuit, outlier of all@2, in@3 do nothing for calls into the service itself: only bulkhead and rateLimit are enforced there',
      ]);
    });

    it('say nothing where only those are given', () => {
      const spec = { bulkhead: { maxConcurrent: 'auto' }, rateLimit: { rate: 5 } };
      expect(notesOf([{ policy: 'in', match: { to: 'self' }, spec }], capabilities, 'self')).to.deep.equal(
        [],
      );
    });
  });
});
