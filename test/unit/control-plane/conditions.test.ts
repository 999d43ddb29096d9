/** Entity tags, conditions of writes, and the choice of JSON or YAML, as headers have them. */
import { expect } from 'chai';
import { etagOf, expectedOf, isUnchanged } from '../../../control-plane/rest/etags.js';
import { formOf } from '../../../control-plane/rest/negotiate.js';

describe('conditions of a write', () => {
  const expected = (headers: Record<string, string>, present?: number) => expectedOf(headers, 'a', present);

  it('expects anything without a condition', () => {
    expect(expected({}, 7)).to.equal('any');
  });

  it('expects the revision of If-Match, whatever this replica knows', () => {
    expect(expected({ 'if-match': etagOf(7) }, 9)).to.equal(7);
    expect(expected({ 'if-match': '"7"' })).to.equal(7);
  });

  it('picks the present revision out of a list', () => {
    expect(expected({ 'if-match': '"5", "9"' }, 9)).to.equal(9);
    expect(expected({ 'if-match': '"5", "9"' }, 11)).to.equal(5);
  });

  it('takes * as the one that is there', () => {
    expect(expected({ 'if-match': '*' }, 9)).to.equal(9);
    expect(() => expected({ 'if-match': '*' }))
      .to.throw()
      .with.property('code', 'revision_conflict');
  });

  it('expects nothing to be there for If-None-Match: *', () => {
    expect(expected({ 'if-none-match': ' * ' }, 9)).to.equal(null);
  });

  it('never holds for a weak tag, and holds for a strong one beside it', () => {
    expect(() => expected({ 'if-match': 'W/"7"' }, 7))
      .to.throw('write "7"')
      .that.includes({ code: 'revision_conflict', revision: 7 });
    expect(expected({ 'if-match': 'W/"7", "6"' }, 7)).to.equal(6);
  });

  for (const headers of [
    { 'if-match': '7' },
    { 'if-match': '' },
    { 'if-match': '"seven"' },
    { 'if-match': '"7", nonsense' },
    { 'if-none-match': '"7"' },
    { 'if-match': '"7"', 'if-none-match': '*' },
  ])
    it(`refuses ${JSON.stringify(headers)}`, () => {
      expect(() => expected(headers, 7))
        .to.throw()
        .with.property('code', 'invalid_request');
    });

  it('knows an unchanged policy by any of the tags, weak ones too', () => {
    expect(isUnchanged('"6", W/"7"', 7)).to.equal(true);
    expect(isUnchanged('*', 7)).to.equal(true);
    expect(isUnchanged('"6"', 7)).to.equal(false);
    expect(isUnchanged(undefined, 7)).to.equal(false);
  });
});

describe('form of the answer', () => {
  for (const [accept, form] of [
    [undefined, 'json'],
    ['', 'json'],
    ['*/*', 'json'],
    ['application/*', 'json'],
    ['application/yaml', 'yaml'],
    ['text/yaml, */*', 'yaml'],
    ['application/json;q=0.5, application/yaml;q=0.6', 'yaml'],
    ['application/yaml, application/json', 'json'],
    ['Application/JSON; charset=utf-8', 'json'],
    ['text/html, */*;q=0.8', 'json'],
    ['application/json;q=0, */*', 'yaml'],
  ] as const)
    it(`answers ${form} to ${accept ?? 'nobody in particular'}`, () => {
      expect(formOf(accept)).to.equal(form);
    });

  for (const accept of ['text/html', 'application/json;q=0', 'image/*', 'application/json;q=2', ','])
    it(`refuses ${accept}`, () => {
      expect(() => formOf(accept))
        .to.throw('application/json or application/yaml')
        .with.property('code', 'not_acceptable');
    });

  it('gives what is usual there first', () => {
    expect(formOf('*/*', ['yaml', 'json'])).to.equal('yaml');
  });
});
