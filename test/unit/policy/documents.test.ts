/**
 * Texts to policies and back: JSON and YAML, one or many, every fault with its document, path and line; and texts that mean harm.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { formatDocuments, type ReadOptions, readPolicies } from '../../../control-plane/documents.js';
import { property } from '../../support/property.js';
import { document } from './arbitraries.js';
import { policyOf } from './helpers.js';

function names(text: string, options?: ReadOptions): string[] {
  const result = readPolicies(text, options);
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.policies.map(({ name }) => name);
}

function faults(text: string, options?: ReadOptions): string[] {
  const result = readPolicies(text, options);
  return result.ok ? [] : result.issues.map(({ path, message }) => `${path}: ${message}`);
}

const a = '{"policy":"a","match":{"to":"x"}}';
const b = '{"policy":"b","match":{"to":"x"}}';

describe('a text of policies', () => {
  it('is one document or a list in JSON', () => {
    expect(names(a)).to.deep.equal(['a']);
    expect(names(`[${a},${b}]`, { form: 'json' })).to.deep.equal(['a', 'b']);
  });

  it('is one document, a stream or a list in YAML', () => {
    expect(names('policy: a\nmatch: { to: x }\n')).to.deep.equal(['a']);
    expect(names('policy: b\nmatch: { to: x }\n---\npolicy: a\nmatch: { to: x }\n')).to.deep.equal([
      'b',
      'a',
    ]);
    expect(names('- policy: a\n  match: { to: x }\n- policy: b\n  match: { to: x }\n')).to.deep.equal([
      'a',
      'b',
    ]);
    expect(names(`[${a}, {policy: b, match: {to: x}}]`)).to.deep.equal(['a', 'b']);
  });

  it('may have empty documents, comments and Windows line ends', () => {
    expect(
      names('# first\r\n---\r\npolicy: a\r\nmatch: { to: x }\r\n---\r\n# nothing\r\n---\r\n'),
    ).to.deep.equal(['a']);
  });

  it('may use anchors', () => {
    const text = 'policy: a\nmatch: { to: x }\nspec: { retry: { backoff: { base: &d 20ms, max: *d } } }\n';
    const result = readPolicies(text);
    expect(result.ok && result.policies[0]?.spec.retry?.backoff).to.deep.equal({ baseMs: 20, maxMs: 20 });
  });

  it('is JSON only, if it must be', () => {
    expect(faults('policy: a', { form: 'json' })[0]).to.match(/^: is no JSON: /);
  });

  it('takes a name from outside, of one document', () => {
    expect(names('match: { to: x }', { name: 'given' })).to.deep.equal(['given']);
    expect(faults(`[${a},${b}]`, { name: 'a' })).to.deep.equal([
      ': must hold one document, "a"; got 2',
      '[1].policy: must be "a", the name it is put under; got "b"',
    ]);
  });
});

describe('faults of a text', () => {
  it('come with the line in YAML', () => {
    const text =
      '# head\npolicy: a\nmatch:\n  to: x\nspec:\n  timeout: 5\n  circuit:\n    windw: 3\n    halfOpen:\n      calls: 0\n';
    expect(
      faults(text).map((fault) => [fault.split(':')[0], /\(line \d+\)$/.exec(fault)?.[0]]),
    ).to.deep.equal([
      ['spec.timeout', '(line 6)'],
      ['spec.circuit.halfOpen.calls', '(line 10)'],
      ['spec.circuit.windw', '(line 8)'],
    ]);
  });

  it('of something that is missing come with the line around it', () => {
    expect(faults('policy: a\n\nmatch:\n  from: x\n')).to.deep.equal([
      'match.to: is required: a name of letters, digits and . _ : - (at most 128), or "*" (line 3)',
    ]);
  });

  it('come with the document in a stream, counted from 0 without empty ones', () => {
    const text = 'policy: a\nmatch: { to: x }\n---\n---\npolicy: b\nmatch: { to: x }\nspec: { timeout: 1 }\n';
    expect(faults(text)).to.have.length(1);
    expect(faults(text)[0]).to.match(/^\[1\]\.spec\.timeout: must be a duration.* \(line 7\)$/);
  });

  it('come with the place in a list, in YAML with its line', () => {
    expect(faults(`[${a},{"policy":"b"}]`)).to.deep.equal([
      '[1].match: is required: an object with any of to, from, method',
    ]);
    expect(faults('- policy: a\n  match: { to: x }\n- policy: b\n')).to.deep.equal([
      '[1].match: is required: an object with any of to, from, method (line 3)',
    ]);
    expect(faults('[null]')).to.have.length(1);
  });

  it('of all documents come at once', () => {
    const text =
      'policy: A\nmatch: { to: x }\n---\npolicy: b\nmatch: { to: x, to: y }\n---\npolicy: c\n---\n{';
    expect(faults(text).map((fault) => fault.split(':')[0])).to.deep.equal([
      '[0].policy',
      '[1].match.to',
      '[2].match',
      '[3]',
    ]);
  });

  it('are a key twice, in YAML and in JSON, however it is written', () => {
    expect(faults('policy: a\nmatch: { to: x }\nspec:\n  timeout: 1s\n  timeout: 2s\n')).to.deep.equal([
      'spec.timeout: "timeout" is there twice (line 5)',
    ]);
    expect(faults('{"policy":"a","match":{"to":"x","t\\u006f":"y"}}')).to.deep.equal([
      'match.to: "to" is there twice',
    ]);
    expect(
      faults(`[${a},{"policy":"b","match":{"to":"x"},"spec":{"timeout":"1s","timeout":"2s"}}]`),
    ).to.deep.equal(['[1].spec.timeout: "timeout" is there twice']);
  });

  it('are no key twice where two objects have it, or where it is a value', () => {
    expect(
      faults(
        '{"policy":"to","match":{"to":"to"},"spec":{"fallback":[{"static":[{"a":"a"},{"a":["a","a"]}]}]}}',
      ),
    ).to.deep.equal([]);
  });

  it('are a name twice', () => {
    expect(faults(`[${a},${b},${a}]`)).to.deep.equal(['[2].policy: "a" is there twice, first in [0]']);
  });

  it('are a text without any document', () => {
    for (const text of ['', '\n', '# nothing', '---\n---\n', '[]'])
      expect(faults(text)).to.deep.equal([
        ': holds no document; a policy looks like { policy: name, match: { to: callee } }',
      ]);
  });

  it('are more than 1,000 documents', () => {
    const many = Array.from({ length: 1_001 }, (_, i) => `{"policy":"p${i}","match":{"to":"x"}}`);
    expect(faults(`[${many}]`)).to.deep.equal([': must hold at most 1000 documents; got 1001']);
    expect(names(`[${many.slice(1)}]`)).to.have.length(1_000);
    expect(faults(many.map((each) => `---\n${each}\n`).join(''))[0]).to.match(
      /^: must hold at most 1000 documents \(line \d+\)$/,
    );
  });

  it('are an unknown tag, an alias of nothing, and text that is no YAML', () => {
    expect(faults('policy: !name a\nmatch: { to: x }')[0]).to.equal(': Unresolved tag: !name (line 1)');
    expect(faults('policy: a\nmatch: *nothing')[0]).to.match(/^: .*nothing.*\(line \d\)$/);
    expect(faults('policy: a\nmatch: { to: * }')[0]).to.equal(
      ': a bare * is an alias in YAML; write "*" (line 2)',
    );
    expect(faults('policy: a: b')[0]).to.match(/\(line 1\)$/);
  });
});

describe('hostile texts', () => {
  const size = 1 << 20;
  for (const [title, text] of [
    ['brackets', '['.repeat(size)],
    ['balanced brackets', '['.repeat(size / 2) + ']'.repeat(size / 2)],
    ['keys of keys', '? '.repeat(size / 2)],
    ['lists of lists', '- '.repeat(size / 2)],
    ['anchors', '&a '.repeat(size / 3)],
    ['documents', '---\n'.repeat(size / 4)],
    [
      'keys',
      Array.from({ length: size / 8 }, (_, i) => `k${i}: 1`)
        .join('\n')
        .slice(0, size),
    ],
    ['blanks', ' '.repeat(size)],
    ['line breaks', '\n'.repeat(size)],
    ['zeros', '\0'.repeat(size)],
    ['quotes', `"${'\\"'.repeat(size / 2 - 1)}`],
  ] as const)
    it(`of a mebibyte of ${title} are refused`, () => {
      for (const form of ['yaml', 'json', undefined] as const) expect(faults(text, { form })).to.not.be.empty;
    });

  it('that unfold aliases of aliases are refused', () => {
    const lines = ['a: &a [x, x, x, x, x, x, x, x, x]'];
    for (const [i, name] of [...'bcdefghi'].entries())
      lines.push(`${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`)}]`);
    expect(faults(lines.join('\n'))).to.deep.equal([
      ': Excessive alias count indicates a resource exhaustion attack (line 1)',
    ]);
  });

  for (const key of ['__proto__', 'constructor', 'prototype'])
    it(`with the key ${key} are refused, in JSON and in YAML`, () => {
      expect(faults(`{"policy":"a","match":{"to":"x"},"${key}":{"polluted":1}}`)).to.deep.equal([
        `${key}: is not allowed as a name`,
      ]);
      expect(faults(`policy: a\nmatch: { to: x }\n${key}: { polluted: 1 }\n`)).to.deep.equal([
        `${key}: is not allowed as a name (line 3)`,
      ]);
      expect(({} as { polluted?: unknown }).polluted).to.equal(undefined);
    });

  property(
    'never make the reader throw',
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...' \n-?:[]{},&*!|>\'"%#@`abc01\t') }),
    ),
    (text) => {
      for (const form of ['yaml', 'json', undefined] as const) readPolicies(text, { form });
    },
  );
});

describe('an export', () => {
  property('is read back as the same documents, by name', fc.array(document, { maxLength: 5 }), (values) => {
    const policies = [...new Map(values.map((value) => [value.policy, policyOf(value)])).values()];
    const sorted = [...policies].sort((x, y) => (x.name < y.name ? -1 : 1));
    if (sorted.length === 0) return;
    const result = readPolicies(formatDocuments(policies.map(({ document: text }) => text)), {
      form: 'yaml',
    });
    expect(result.ok && result.policies.map(({ document: text }) => text)).to.deep.equal(
      sorted.map(({ document: text }) => text),
    );
  });

  property('in JSON is read like the same in YAML', document, (value) => {
    const json = readPolicies(JSON.stringify(value), { form: 'json' });
    const yaml = readPolicies(stringify(value), { form: 'yaml' });
    expect(json).to.have.property('ok', true);
    expect(yaml).to.deep.equal(json);
  });

  it('has the fields in the order in which people write them', () => {
    const { document: text } = policyOf({
      rollout: { percent: 50 },
      spec: {
        fallback: [{ static: { window: 1, calls: 2, a: 3 } }],
        circuit: { openFor: '1s', window: '10s', halfOpen: { maxWait: '1s', calls: 1 } },
        timeout: '1s',
      },
      match: { method: 'a.B/*', from: 'y', to: 'x' },
      policy: 'p',
    });
    expect(
      formatDocuments([text])
        .split('\n')
        .map((line) => line.trim().split(':')[0]),
    ).to.deep.equal([
      ...['policy', 'match', 'to', 'from', 'method', 'spec', 'timeout'],
      ...['circuit', 'window', 'openFor', 'halfOpen', 'calls', 'maxWait'],
      ...['fallback', '- static', 'a', 'calls', 'window', 'rollout', 'percent', ''],
    ]);
  });
});
