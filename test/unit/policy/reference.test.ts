/**
 * docs/policies.md is true: each example parses or is refused as it says, each field of the schema has its row with default
 * and range, the worked example comes to what the table says. The JSON Schema is the parser's own.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { readPolicies } from '../../../control-plane/documents.js';
import { explain, type JsonSchema, PolicyIndex, policyJsonSchema } from '../../../core/policy/index.js';
import { inFieldOrder } from '../../../core/policy/order.js';

const page = readFileSync(new URL('../../../docs/policies.md', import.meta.url), 'utf8');

interface Block {
  readonly kind: string;
  readonly text: string;
  readonly line: number;
}

const blocks: Block[] = [...page.matchAll(/^```([^\n]*)\n([\s\S]*?)^```$/gm)].map((found) => ({
  kind: found[1] ?? '',
  text: found[2] ?? '',
  line: page.slice(0, found.index).split('\n').length,
}));

/** First cell, without its backquotes → the other cells. */
function rows(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [, first, ...rest] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    if (line.startsWith('| `') && first !== undefined)
      found.set(first.replaceAll('`', ''), rest.slice(0, -1));
  }
  return found;
}

interface Leaf {
  readonly path: string;
  readonly schema: JsonSchema;
  readonly required: boolean;
}

/** Every field of the schema, but those that only hold others. */
function* leaves(schema: JsonSchema, path: string, required: boolean): IterableIterator<Leaf> {
  const { properties, items, anyOf } = schema as Parts;
  const needed = (schema.required ?? []) as string[];
  const choices = (anyOf ?? []).filter(({ type }) => type !== 'null');
  if (!properties && !items?.properties && !(choices.length > 0 && choices.every(isCompound)))
    yield { path, schema, required };
  for (const [name, inner] of Object.entries(properties ?? {}))
    yield* leaves(inner, path === '' ? name : `${path}.${name}`, needed.includes(name));
  if (items?.properties) yield* leaves(items, `${path}[]`, false);
  for (const inner of choices.filter(isCompound)) yield* leaves(inner, path, required);
}

interface Parts {
  readonly properties?: Record<string, JsonSchema>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
}

function isCompound(schema: JsonSchema): boolean {
  const { properties, items } = schema as Parts;
  return properties !== undefined || items?.properties !== undefined;
}

const fields = [
  ...new Map([...leaves(policyJsonSchema(), '', true)].map((leaf) => [leaf.path, leaf])).values(),
];
const documented = rows(page);

describe('docs/policies.md', () => {
  it('has examples that parse and examples that are refused', () => {
    const count = (kind: string) => blocks.filter((block) => block.kind === kind).length;
    expect(count('yaml')).to.be.at.least(4);
    expect(count('yaml refused')).to.be.at.least(2);
    expect(count('issues')).to.equal(count('yaml refused'));
  });

  for (const [i, block] of blocks.entries()) {
    if (block.kind === 'yaml')
      it(`the example in line ${block.line} parses`, () => {
        expect(readPolicies(block.text, { form: 'yaml' })).to.have.property('ok', true);
      });
    if (block.kind === 'yaml refused')
      it(`the example in line ${block.line} is refused with just these words`, () => {
        const result = readPolicies(block.text, { form: 'yaml' });
        const said = result.ok
          ? []
          : result.issues.map(({ path, message }) => `${path}: ${message.replace(/ \(line \d+\)$/, '')}`);
        expect(said.join('\n')).to.equal(blocks[i + 1]?.text.trimEnd());
      });
  }

  for (const { path, schema, required } of fields)
    it(`has a row for ${path}, with its default and range`, () => {
      const row = documented.get(path);
      if (!row) throw new Error(`docs/policies.md has no row for ${path}`);
      const [, standing = '', range = ''] = row;
      if (schema.default !== undefined) expect(standing).to.equal(`\`${written(schema.default)}\``);
      else if (required) expect(standing).to.equal('required');
      else expect(standing).to.not.match(/^`|^required$/);
      for (const bound of boundsOf(schema)) expect(range).to.contain(bound);
    });

  it('has no row for a field that is not there', () => {
    const paths = fields.map(({ path }) => path);
    const unknown = [...documented.keys()].filter(
      (path) => /^(spec|match|rollout)\./.test(path) && !paths.includes(path),
    );
    expect(unknown).to.deep.equal([]);
  });

  it('comes in its worked example to what its table says', () => {
    const example = blocks.find(({ text }) => text.includes('inventory-reserve'));
    const result = readPolicies(example?.text ?? '');
    if (!result.ok) throw new Error('the worked example is refused');
    const index = new PolicyIndex(result.policies.map((policy, i) => ({ policy, revision: i + 1 })));
    const answer = explain(index, { from: 'checkout', to: 'inventory', method: 'shop.v1.Inventory/Reserve' });
    const table = rows(page.slice(page.indexOf('| Field | Value | From |')).split('\n\n')[0] ?? '');
    expect([...table]).to.deep.equal(
      answer.fields.map(({ path, value, policy, revision, default: standing }) => [
        path,
        [String(value), `${policy}@${revision}${standing ? ' (default)' : ''}`],
      ]),
    );
    expect(answer.conflicts.map(({ path, policies }) => [path, policies])).to.deep.equal([
      ['attemptTimeout', ['inventory-reserve@4', 'inventory-checkout@3']],
    ]);
  });
});

describe('the JSON Schema', () => {
  it('describes every field in words', () => {
    const silent = fields.filter(({ schema: { description } }) => !description);
    expect(silent.map(({ path }) => path)).to.deep.equal([]);
  });

  it('refers to nothing outside itself, and is JSON', () => {
    const text = JSON.stringify(policyJsonSchema());
    expect(text).to.not.contain('$ref');
    expect(JSON.parse(text)).to.deep.equal(policyJsonSchema());
  });

  it('has its fields in the order in which documents are written', () => {
    const properties = policyJsonSchema().properties as Record<string, unknown>;
    const inOrder = (schema: unknown): void => {
      if (typeof schema !== 'object' || schema === null) return;
      for (const [keyword, value] of Object.entries(schema)) {
        if (keyword === 'properties')
          expect(Object.keys(value)).to.deep.equal(Object.keys(inFieldOrder(reversed(value)) as object));
        inOrder(value);
      }
    };
    inOrder({ properties });
  });
});

function reversed(record: object): object {
  return Object.fromEntries(
    Object.keys(record)
      .reverse()
      .map((key) => [key, null]),
  );
}

/** As a document says it. */
function written(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value);
}

function* boundsOf(schema: JsonSchema): IterableIterator<string> {
  const { minimum, maximum, anyOf, items } = schema as {
    minimum?: number;
    maximum?: number;
    anyOf?: JsonSchema[];
    items?: JsonSchema;
  };
  const range = schema['x-range'];
  if (typeof range === 'string') yield range.replace(/^from /, '');
  if (minimum !== undefined && maximum !== undefined) yield `${minimum} to ${maximum}`;
  if (Array.isArray(schema.enum) && schema.enum.length < 5)
    for (const word of schema.enum) yield `\`${word}\``;
  for (const inner of [...(anyOf ?? []), ...(items ? [items] : [])]) yield* boundsOf(inner);
}
