/** The brownout setting as a document: what is refused and where, and what a partial write makes of what was there. */
import { expect } from 'chai';
import { merged, parseFields, parseSetting } from '../../../core/brownout/setting.js';

const who = { author: 'ada', wallNow: 1000 };

/** What can't be sent, and the faults that are told. */
const refused: readonly (readonly [
  body: unknown,
  faults: readonly (readonly [path: string, words: RegExp])[],
])[] = [
  [[], [['', /object/]]],
  [
    { level: 5 },
    [
      ['level', /whole number from 0 to 4/],
      ['reason', /required above level 0/],
    ],
  ],
  [{ level: '2', reason: 'x' }, [['level', /whole number/]]],
  [{ level: 2 }, [['reason', /required above level 0/]]],
  [{ level: 2, reason: '' }, [['reason', /say why/]]],
  [{ level: 2, reason: 'a\nb' }, [['reason', /one line/]]],
  [{ reason: 'x' }, [['level', /required beside a reason/]]],
  [{ ttl: '10m' }, [['level', /required beside a ttl/]]],
  [{ level: 0, ttl: '10m' }, [['ttl', /no meaning at level 0/]]],
  [{ level: 1, reason: 'x', ttl: 600 }, [['ttl', /duration with its unit/]]],
  [{ level: 1, reason: 'x', ttl: '1ms' }, [['ttl', /from 1s/]]],
  [{ levle: 2 }, [['levle', /did you mean level\?/]]],
  [{ features: ['a'] }, [['features', /object of feature names/]]],
  [
    { features: { a: 0, b: 5, c: 1 } },
    [
      ['features.a', /from 1 to 4/],
      ['features.b', /from 1 to 4/],
    ],
  ],
  [{ features: { 'a b': 1 } }, [['features["a b"]', /letters, digits/]]],
  [JSON.parse('{"features":{"__proto__":1}}'), [['features.__proto__', /not allowed/]]],
  [{ rules: {} }, [['rules', /a list of rules/]]],
  [
    { rules: [{}] },
    [
      ['rules[0].level', /required/],
      ['rules[0].when', /required/],
    ],
  ],
  [{ rules: [{ level: 0, when: { openCircuits: 1 } }] }, [['rules[0].level', /from 1 to 4/]]],
  [{ rules: [{ level: 1, when: {} }] }, [['rules[0].when', /must name a condition/]]],
  [
    { rules: [{ level: 1, when: { callee: 'a' } }] },
    [['rules[0].when.callee', /slowRate, failureRate or latency/]],
  ],
  [{ rules: [{ level: 1, when: { slowRate: '5%' } }] }, [['rules[0].when.slowRate', /needs callee/]]],
  [
    { rules: [{ level: 1, when: { agents: 2 } }] },
    [
      ['rules[0].when', /condition/],
      ['rules[0].when.agents', /needs circuit/],
    ],
  ],
  [
    { rules: [{ level: 1, when: { callee: 'a', slowRate: 0.5 } }] },
    [['rules[0].when.slowRate', /percentage/]],
  ],
  [
    { rules: [{ level: 1, when: { openCircuit: 1 } }] },
    [
      ['rules[0].when.openCircuit', /openCircuits\?/],
      ['rules[0].when', /condition/],
    ],
  ],
  [{ rules: [{ level: 1, when: { latency: { p99: '1s' } } }] }, [['rules[0].when.latency', /needs callee/]]],
  [
    { rules: [{ level: 1, when: { callee: 'a', latency: {} } }] },
    [['rules[0].when.latency', /name a percentile/]],
  ],
  [
    { rules: [{ level: 1, when: { callee: 'a', latency: '800ms' } }] },
    [['rules[0].when.latency', /object of percentiles/]],
  ],
  [
    { rules: [{ level: 1, when: { callee: 'a', latency: { p49: '1s', 'p99.99': '1s', p99: 800 } } }] },
    [
      ['rules[0].when.latency.p99', /duration with its unit/],
      ['rules[0].when.latency.p49', /from p50 to p99\.9/],
      ['rules[0].when.latency["p99.99"]', /from p50 to p99\.9/],
    ],
  ],
  [{ rules: [{ level: 1, when: { openCircuits: 1 }, for: '2h' }] }, [['rules[0].for', /0ms to 1h/]]],
];

describe('the brownout setting', () => {
  for (const [body, faults] of refused)
    it(`is refused as ${JSON.stringify(body).slice(0, 70)}`, () => {
      const result = parseFields(body);
      const issues = result.ok ? [] : result.issues;
      expect(
        issues.map(({ path }) => path),
        JSON.stringify(issues),
      ).to.deep.equal(faults.map(([path]) => path));
      for (const [i, [, words]] of faults.entries()) expect(issues[i]?.message).to.match(words);
    });

  const put = (before: string | undefined, fields: Record<string, unknown>) => {
    const result = parseFields(fields);
    if (!result.ok) throw new Error(JSON.stringify(result.issues));
    return merged(before, result.fields, who);
  };

  it('keeps what a write does not name', () => {
    const rules = [{ level: 1, when: { openCircuits: 3 } }];
    const first = put(undefined, { level: 2, reason: 'sale', features: { ads: 1 }, rules });
    const second = put(first, { features: { recommendations: 2 } });
    expect(JSON.parse(second)).to.deep.equal({
      ...{ level: 2, reason: 'sale', author: 'ada', rules },
      features: { recommendations: 2 },
    });
    expect(JSON.parse(put(second, { level: 0 }))).to.deep.equal({
      ...{ level: 0, rules },
      features: { recommendations: 2 },
    });
    expect(JSON.parse(put(second, { rules: [] }))).to.deep.include({ rules: [], level: 2 });
  });

  it('takes a level, its reason and its time as one: a new level has no time of the old one', () => {
    const timed = put(undefined, { level: 3, reason: 'sale', ttl: '10m' });
    expect(JSON.parse(timed)).to.deep.equal({
      level: 3,
      reason: 'sale',
      ttl: '10m',
      author: 'ada',
      setAt: 1000,
    });
    expect(JSON.parse(put(timed, { level: 1, reason: 'less' }))).to.deep.equal({
      ...{ level: 1, reason: 'less', author: 'ada' },
    });
    expect(JSON.parse(put(timed, { features: { a: 1 } }))).to.include({ ttl: '10m', setAt: 1000 });
  });

  it('comes back from its text with units in its names and defaults filled in', () => {
    const text = put(undefined, {
      ...{ level: 3, reason: ' sale ', ttl: '10m', features: { ads: 1 } },
      rules: [{ level: 4, when: { callee: 'payments', slowRate: '50%' }, clearAfter: '5m' }],
    });
    const result = parseSetting(text);
    if (!result.ok) throw new Error(JSON.stringify(result.issues));
    const { operator, features, rules } = result.setting;
    expect(operator).to.deep.equal({ level: 3, reason: 'sale', author: 'ada', ttlMs: 600_000, setAt: 1000 });
    expect([...features]).to.deep.equal([['ads', 1]]);
    expect(rules[0]).to.deep.include({ level: 4, forMs: 10_000, clearAfterMs: 300_000 });
    expect(rules[0]?.when).to.deep.equal({ callee: 'payments', slowRate: 0.5, minimumCalls: 20 });
  });

  it('takes percentiles as fractions with their limits in milliseconds', () => {
    const when = { callee: 'payments', latency: { p50: '1s', 'p99.9': '1500ms' } };
    const result = parseSetting(put(undefined, { rules: [{ level: 1, when }] }));
    expect(result.ok && result.setting.rules[0]?.when.latency).to.deep.equal([
      { name: 'p50', p: 0.5, limitMs: 1000 },
      { name: 'p99.9', p: 0.999, limitMs: 1500 },
    ]);
  });

  it('is not read from what is damaged, whatever it is', () => {
    for (const text of [
      '',
      '{',
      '[]',
      'null',
      '{"level":9}',
      '{"foo":1}',
      `{"reason":"${'x'.repeat(70_000)}"}`,
    ])
      expect(parseSetting(text).ok, text.slice(0, 20)).to.equal(false);
  });
});
