/**
 * Explain: each field with the policy and revision it comes from, what merging alone brought about, and what the fields don't show.
 */
import { expect } from 'chai';
import { conflicts, type Explanation, effective, explain, PolicyIndex } from '../../../core/policy/index.js';
import { revisions } from './helpers.js';

const query = { from: 'checkout', to: 'inventory', method: 'shop.v1.Inventory/Reserve' };
const agent = ['timeout', 'attemptTimeout', 'streamTimeout', 'idempotent', 'circuit', 'bulkhead'];

function explained(...documents: object[]): Explanation {
  return explain(new PolicyIndex(revisions(...documents)), query, agent && [{ capabilities: agent }]);
}

/** `path = value from policy@revision`, with a star for a default. */
function fields({ fields }: Explanation): string[] {
  return fields.map(
    ({ path, value, policy, revision, default: standing }) =>
      `${path} = ${JSON.stringify(value)} from ${policy}@${revision}${standing ? ' *' : ''}`,
  );
}

function notes({ notes }: Explanation): string[] {
  return notes.map(({ kind, message }) => `${kind}: ${message}`);
}

describe('explain', () => {
  it('lists what matches from general to specific, with what each gives and removes', () => {
    const { matches } = explained(
      { policy: 'inv', match: { to: 'inventory' }, mode: 'off', priority: 3, spec: { bulkhead: null } },
      { policy: 'base', match: { to: '*' }, spec: { circuit: {}, timeout: '1s' } },
      { policy: 'other', match: { to: 'payments' } },
    );
    expect(matches).to.deep.equal([
      {
        policy: 'base',
        revision: 2,
        match: { to: '*' },
        mode: 'enforce',
        priority: 0,
        gives: ['timeout', 'circuit'],
        removes: [],
      },
      {
        policy: 'inv',
        revision: 1,
        match: { to: 'inventory' },
        mode: 'off',
        priority: 3,
        gives: [],
        removes: ['bulkhead'],
      },
    ]);
  });

  it('says of each field which policy and revision it comes from, and which are defaults', () => {
    const answer = explained(
      { policy: 'base', match: { to: '*' }, spec: { timeout: '2s', circuit: { minimumCalls: 50 } } },
      {
        policy: 'inv',
        match: { to: 'inventory' },
        spec: { circuit: { window: { calls: 100 }, halfOpen: { calls: 5 } } },
      },
    );
    expect(fields(answer)).to.deep.equal([
      'timeout = "2s" from base@1',
      'circuit.window.calls = 100 from inv@2',
      'circuit.failureRate = "50%" from inv@2 *',
      'circuit.minimumCalls = 20 from inv@2 *',
      'circuit.openFor = "5s" from inv@2 *',
      'circuit.halfOpen.calls = 5 from inv@2',
      'circuit.halfOpen.maxWait = "30s" from inv@2 *',
      'circuit.per = "service" from inv@2 *',
      'circuit.scope = "local" from inv@2 *',
    ]);
  });

  it('shows the defaults of what is switched on, and of nothing else', () => {
    const paths = fields(
      explained({ policy: 'p', match: { to: '*' }, spec: { circuit: { slowCall: '1s', scope: 'cluster' } } }),
    );
    expect(paths).to.include('circuit.slowRate = "100%" from p@1 *');
    expect(paths).to.include('circuit.cluster.ramp = ["5%","25%","50%","100%"] from p@1 *');
    expect(paths).to.include('circuit.cluster.quorum = "20%" from p@1 *');
  });

  it('goes into lists of sections, and leaves answers of the user whole', () => {
    const { fields: shown } = explained({
      policy: 'p',
      match: { to: '*' },
      spec: { fallback: [{ cache: { maxAge: '1s' } }, { static: [{ a: [1] }] }], rateLimit: { rate: 9 } },
    });
    expect(shown.map(({ path, value }) => [path, value])).to.deep.equal([
      ['rateLimit.rate', 9],
      ['rateLimit.per', '1s'],
      ['rateLimit.burst', 9],
      ['rateLimit.scope', 'local'],
      ['rateLimit.by', 'service'],
      ['fallback[0].cache.maxAge', '1s'],
      ['fallback[1].static', [{ a: [1] }]],
    ]);
  });

  it('tells the fields of sections that have names of their own in them', () => {
    const answer = explained({
      policy: 'p',
      match: { to: '*' },
      spec: {
        bulkhead: { maxConcurrent: 10, shares: { sheddable: '10%', 'critical-plus': '30%' } },
        admission: {},
        classify: { NOT_FOUND: 'failure', '404': 'failure' },
      },
    });
    expect(fields(answer)).to.deep.equal([
      'bulkhead.maxConcurrent = 10 from p@1',
      'bulkhead.maxQueue = 0 from p@1 *',
      'bulkhead.shares.critical-plus = "30%" from p@1',
      'bulkhead.shares.sheddable = "10%" from p@1',
      'bulkhead.per = "service" from p@1 *',
      'admission.window = "30s" from p@1 *',
      'admission.successRate = "95%" from p@1 *',
      'admission.maxRejection = "80%" from p@1 *',
      'classify["404"] = "failure" from p@1',
      'classify.NOT_FOUND = "failure" from p@1',
    ]);
  });

  it('tells a section that says nothing, since it replaces one that does', () => {
    const answer = explained(
      { policy: 'base', match: { to: '*' }, spec: { classify: { NOT_FOUND: 'failure' } } },
      { policy: 'inv', match: { to: 'inventory' }, spec: { classify: {} } },
    );
    expect(fields(answer)).to.deep.equal(['classify = {} from inv@2']);
  });

  it('repeats the question', () => {
    const { from, to, method } = explained();
    expect({ from, to, method }).to.deep.equal(query);
    expect(Object.keys(explain(new PolicyIndex(), { to: 'x', method: '' }))).to.not.include.members([
      'from',
      'method',
    ]);
  });

  it('is plain JSON', () => {
    const answer = explained({
      policy: 'p',
      match: { to: '*' },
      spec: { circuit: {}, fallback: [{ static: null }] },
    });
    expect(JSON.parse(JSON.stringify(answer))).to.deep.equal(answer);
  });
});

describe('conflicts', () => {
  it('are what two policies contradict each other in, each right by itself', () => {
    const { conflicts: found } = explained(
      { policy: 'base', match: { to: '*' }, spec: { timeout: '300ms' } },
      {
        policy: 'inv',
        match: { to: 'inventory' },
        spec: {
          attemptTimeout: '1s',
          circuit: { slowCall: '400ms' },
          bulkhead: { maxConcurrent: 1, maxQueue: 1, queueTimeout: '500ms' },
        },
      },
    );
    expect(found).to.deep.equal([
      {
        path: 'attemptTimeout',
        message: "must be below timeout (300ms); got 1s, and an attempt can't outlast the call",
        policies: ['inv@2', 'base@1'],
      },
      {
        path: 'circuit.slowCall',
        message: 'must be at most timeout (300ms); got 400ms, and no call lasts that long',
        policies: ['inv@2', 'base@1'],
      },
      {
        path: 'bulkhead.queueTimeout',
        message: 'must be at most timeout (300ms); got 500ms, and the call is over before its wait is',
        policies: ['inv@2', 'base@1'],
      },
    ]);
  });

  it('are a hedge whose method another policy calls not idempotent', () => {
    const hedged = { policy: 'h', match: { to: '*' }, spec: { idempotent: true, hedge: {} } };
    const said = { policy: 'i', match: { to: 'inventory' }, spec: { idempotent: false } };
    const removed = { policy: 'i', match: { to: 'inventory' }, spec: { idempotent: null } };
    expect(explained(hedged, said).conflicts).to.have.length(1);
    expect(explained(hedged, said).conflicts[0]).to.include({ path: 'hedge' });
    expect(explained(hedged, said).conflicts[0]?.policies).to.deep.equal(['h@1', 'i@2']);
    expect(explained(hedged, removed).conflicts[0]?.policies).to.deep.equal(['h@1']);
    expect(explained(hedged).conflicts).to.deep.equal([]);
  });

  it('are a pause as long as a call of another policy', () => {
    const [found] = explained(
      { policy: 'base', match: { to: '*' }, spec: { timeout: '50ms' } },
      { policy: 'inv', match: { to: 'inventory' }, spec: { retry: { backoff: { base: '50ms' } } } },
    ).conflicts;
    expect(found).to.deep.equal({
      path: 'retry.backoff.base',
      message: 'must be below timeout (50ms); got 50ms, and most calls are over before their retry starts',
      policies: ['inv@2', 'base@1'],
    });
  });

  it('are none of sections that are not enforced for such calls', () => {
    const documents = [
      { policy: 'base', match: { to: '*' }, spec: { timeout: '300ms' } },
      { policy: 'in', match: { to: 'self' }, spec: { attemptTimeout: '1s' } },
    ];
    expect(explain(new PolicyIndex(revisions(...documents)), { to: 'self' }).conflicts).to.deep.equal([]);
  });

  it('are none where the limits agree', () => {
    const index = new PolicyIndex(
      revisions(
        { policy: 'base', match: { to: '*' }, spec: { timeout: '301ms' } },
        {
          policy: 'inv',
          match: { to: 'inventory' },
          spec: { attemptTimeout: '300ms', circuit: { slowCall: '300ms' } },
        },
      ),
    );
    expect(conflicts(effective(index, query))).to.deep.equal([]);
  });

  it('are told as idle where one policy alone says both', () => {
    const answer = explained({
      policy: 'p',
      match: { to: '*' },
      spec: { timeout: '800ms', attemptTimeout: '300ms', circuit: { slowCall: '500ms' } },
    });
    expect(answer.conflicts).to.deep.equal([]);
    expect(notes(answer)).to.deep.equal([
      'idle: circuit.slowCall of p@1 must be at most attemptTimeout (300ms); got 500ms, and no attempt lasts that long',
    ]);
  });
});
