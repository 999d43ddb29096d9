/**
 * The functions that policies fall back to, by name: only what a policy can name, and one warning for a name that nobody has given.
 */
import { expect } from 'chai';
import { type FallbackHandler, FallbackHandlers } from '../../../agent/fallback-handlers.js';
import { parsePolicy } from '../../../core/policy/index.js';
import { keptLogger } from '../../support/logs.js';

const answer = () => 1;

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return String(error);
  }
  return '';
}

describe('the functions that policies fall back to', () => {
  for (const name of [
    'lastKnown',
    '_x',
    'a.b-c_9',
    'x'.repeat(128),
    '',
    '9 x',
    '9x',
    'a b',
    'ä',
    'x'.repeat(129),
  ])
    it(`have the names that policies can say: ${JSON.stringify(name.slice(0, 20))} (${name.length})`, () => {
      const policy = { policy: 'p', match: { to: 'a' }, spec: { fallback: [{ handler: name }] } };
      const parsed = parsePolicy(policy);
      const inPolicy = parsed.ok ? '' : parsed.issues.map(({ message }) => message).join();
      const inCode = refusal(() => new FallbackHandlers(keptLogger()).set(name, answer));
      expect(inCode === '').to.equal(inPolicy === '');
      const form = 'up to 128 letters, digits and _ . - that begin with a letter or _';
      for (const text of [inPolicy, inCode]) if (text !== '') expect(text).to.contain(form);
    });

  it('are refused by what they are', () => {
    const handlers = new FallbackHandlers(keptLogger());
    expect(() => handlers.set('9 x', answer)).to.throw(
      '[invalid_configuration] fallback: the name is "9 x": use',
    );
    expect(() => handlers.set(answer as never, 'lastKnown' as never)).to.throw(
      'the name is of type function',
    );
    expect(() => handlers.set('lastKnown', undefined as unknown as FallbackHandler)).to.throw(
      'fallback: what to run for lastKnown is of type undefined: give a function',
    );
  });

  it('are missed once each, with who asks', () => {
    const logger = keptLogger();
    const handlers = new FallbackHandlers(logger);
    for (let i = 0; i < 3; i++)
      expect(handlers.get('lastKnown', 'pricing', 'pricing-fallback')).to.equal(undefined);
    expect(handlers.get('other')).to.equal(undefined);
    expect(logger.of('warn').map(({ fields }) => fields)).to.deep.equal([
      { handler: 'lastKnown', callee: 'pricing', policy: 'pricing-fallback' },
      { handler: 'other' },
    ]);
  });
});
