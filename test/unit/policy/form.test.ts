/** Forms by themselves: what is read, what is named, and what they say of themselves. Policies are read with them in `parse.test.ts`. */
import { expect } from 'chai';
import type { Issue } from '../../../core/errors.js';
import { anything, either, fieldsOf, listOf, mapOf } from '../../../core/policy/form.js';
import { addIssues } from '../../../core/policy/issues.js';
import {
  choice,
  count,
  flag,
  must,
  number,
  record,
  sense,
  text,
  whole,
} from '../../../core/policy/leaves.js';

const right = must('right');

function issuesOf(
  form: { read(value: unknown): { wrong: Parameters<typeof addIssues>[0] } },
  value: unknown,
): string[] {
  const issues: Issue[] = [];
  addIssues(form.read(value).wrong, issues);
  return issues.map(({ path, message }) => `${path}: ${message}`);
}

describe('a form', () => {
  const part = record({ a: whole(1, 9), b: flag().optional(), c: choice(['x', 'y']).usually('y') });

  it('reads fields, leaves absent ones absent, and fills in what is usual', () => {
    expect(part.read({ a: 1 })).to.deep.equal({ value: { a: 1, c: 'y' }, wrong: [] });
    expect(part.read({ a: 1, b: false, c: 'x' }).value).to.deep.equal({ a: 1, b: false, c: 'x' });
  });

  it('names all that is wrong at once, each with its place', () => {
    expect(issuesOf(listOf(part, right), [{ b: 1, zone: 2 }, 5])).to.deep.equal([
      '[0].a: is required: a whole number from 1 to 9',
      '[0].b: must be true or false; got the number 1',
      '[0].zone: unknown field; known here: a, b, c',
      '[1]: must be an object with any of a, b, c; got the number 5',
    ]);
  });

  it('says one thing of a place, the first', () => {
    const twice = whole(1, 9).check((_value, wrong) => wrong([], 'is unlucky'));
    expect(issuesOf(twice, 13)).to.deep.equal([': must be a whole number from 1 to 9; got the number 13']);
    expect(issuesOf(twice, 3)).to.deep.equal([': is unlucky']);
  });

  it('checks fields together though one of them is wrong, and knows whether there were strange ones', () => {
    const seen: unknown[] = [];
    const form = part.check(sense(({ a, b }, _fault, strange) => seen.push([a, b, strange])));
    form.read({ a: 'no', b: true });
    form.read({ a: 1, z: 1 });
    form.read('no object');
    expect(seen).to.deep.equal([
      ['no', true, false],
      [1, undefined, true],
    ]);
  });

  it('makes something else of what is right alone', () => {
    const doubled = whole(1, 9).transform((n) => n * 2);
    expect(doubled.read(4).value).to.equal(8);
    expect(doubled.read(40)).to.have.property('value', undefined);
  });

  it('of several, takes the first that it is, or names what is wrong with the one that was meant', () => {
    const form = either([whole(1, 9), record({ calls: whole(1, 9) })], right);
    expect(form.read({ calls: 3 }).value).to.deep.equal({ calls: 3 });
    expect(issuesOf(form, { calls: 0 })).to.deep.equal([
      'calls: must be a whole number from 1 to 9; got the number 0',
    ]);
    expect(issuesOf(form, 'x')).to.deep.equal([': must be right; got "x"']);
  });

  it('bounds lists, and looks at nothing of one that is too long', () => {
    const form = listOf(flag(), right, { least: [1, 'is empty'], most: [2, 'has too many'] });
    expect(issuesOf(form, [])).to.deep.equal([': is empty']);
    expect(issuesOf(form, [1, 2, 3])).to.deep.equal([': has too many']);
    expect(issuesOf(form, {})).to.deep.equal([': must be right; got an object']);
  });

  it('takes names of an object as they come, and none that reaches into a prototype', () => {
    const form = mapOf(count(), right);
    const read = form.read(JSON.parse('{"a": 1, "__proto__": 2, "constructor": 3}'));
    expect(Object.entries(read.value ?? {})).to.deep.equal([
      ['a', 1],
      ['constructor', 3],
    ]);
    expect(issuesOf(form, { 'a b': -1 })[0]).to.match(/^\["a b"\]: must be a whole number from 0/);
    expect(issuesOf(part, JSON.parse('{"a": 1, "toString": 1}'))[0]).to.match(/^toString: unknown field/);
    expect(fieldsOf({ toString: count() }, right).read({}).value).to.equal(undefined);
  });

  it('passes over other fields where it is told none of them is wrong', () => {
    expect(fieldsOf({ a: text() }, right).read({ a: '', b: 1 })).to.deep.equal({
      value: { a: '' },
      wrong: [],
    });
  });

  it('takes no number that is none, or has no end', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, -1])
      expect(number(0).read(value).wrong, String(value)).to.have.length(1);
    expect(count().read(2 ** 53).wrong).to.have.length(1);
    expect(number().read(-0.5).value).to.equal(-0.5);
  });

  it('says itself as JSON Schema', () => {
    const form = record({
      a: text(right, [3, '']).describe('Words.'),
      b: listOf(anything(), right, { least: [1, ''] }).optional(),
      c: mapOf(choice(['one']), right)
        .nullable()
        .usually(null),
    });
    expect(form.jsonSchema()).to.deep.equal({
      type: 'object',
      properties: {
        a: { type: 'string', maxLength: 3, description: 'Words.' },
        b: { type: 'array', items: {}, minItems: 1 },
        c: {
          anyOf: [
            {
              type: 'object',
              propertyNames: { type: 'string' },
              additionalProperties: { type: 'string', const: 'one' },
            },
            { type: 'null' },
          ],
          default: null,
        },
      },
      required: ['a'],
      additionalProperties: false,
    });
  });
});
