/** What a primary decides about its workers without any process: restarts, figures of all of them as one answer, errors on their way. */
import { expect } from 'chai';
import { mergeScrapes } from '../../../control-plane/telemetry/siblings.js';
import { figuresOf } from '../../../control-plane/workers/figures.js';
import { Gatherings } from '../../../control-plane/workers/gatherings.js';
import { errorOf, failureOf } from '../../../control-plane/workers/messages.js';
import { Restarts } from '../../../control-plane/workers/restarts.js';
import { MeshError } from '../../../core/errors.js';
import { VirtualClock } from '../../support/virtual-clock.js';

describe('restarts of a worker', () => {
  it('come at once, then later and later, and end with the fifth within a minute', () => {
    const restarts = new Restarts();
    expect([0, 1_000, 2_000, 3_000, 59_999].map((now) => restarts.ended(now))).to.deep.equal([
      0,
      500,
      1_000,
      2_000,
      undefined,
    ]);
  });

  it('start anew after a minute without an end', () => {
    const restarts = new Restarts();
    for (const now of [0, 1, 2, 3]) restarts.ended(now);
    expect(restarts.ended(60_003)).to.equal(0);
    expect(restarts.ended(60_004)).to.equal(500);
  });
});

describe('a scrape of several workers', () => {
  it('has each family once, with the samples of all', () => {
    const text = (replica: string, value: number) =>
      `# HELP a First.\n# TYPE a gauge\na{replica="${replica}"} ${value}\n\n# HELP b Second.\n# TYPE b counter\nb{replica="${replica}",x="# HELP a"} 1\n`;
    expect(mergeScrapes([text('one', 1), text('two', 2), ''])).to.equal(
      '# HELP a First.\n# TYPE a gauge\na{replica="one"} 1\na{replica="two"} 2\n\n' +
        '# HELP b Second.\n# TYPE b counter\nb{replica="one",x="# HELP a"} 1\nb{replica="two",x="# HELP a"} 1\n',
    );
  });

  it('says how many workers there are', () => {
    const text = figuresOf({ mesh: 'm', replica: 'r' }, { wanted: 4, ready: 3, restarted: 7 });
    expect(mergeScrapes([text])).to.equal(text);
    expect(text).to.include('switchgear_workers_ready{mesh="m",replica="r"} 3\n');
  });

  const gather = (clock: VirtualClock) => {
    const gatherings = new Gatherings<string>(clock);
    const asked: [string, number][] = [];
    const answers: (readonly string[])[] = [];
    const begin = (...peers: string[]) =>
      gatherings.begin(
        peers,
        (peer, id) => asked.push([peer, id]),
        (texts) => answers.push(texts),
      );
    return { gatherings, asked, answers, begin };
  };

  it('is answered when all have answered, each once', () => {
    const clock = new VirtualClock();
    const { gatherings, asked, answers, begin } = gather(clock);
    begin('a', 'b');
    begin('b');
    expect(asked).to.deep.equal([
      ['a', 1],
      ['b', 1],
      ['b', 2],
    ]);
    gatherings.answered('a', 1, 'A');
    gatherings.answered('a', 1, 'A again');
    gatherings.answered('x', 1, 'X');
    expect(answers).to.deep.equal([]);
    gatherings.answered('b', 1, 'B');
    expect(answers).to.deep.equal([['A', 'B']]);
    gatherings.answered('b', 2, 'B');
    expect(answers).to.have.length(2);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('leaves out who does not answer within a second, or is gone', () => {
    const clock = new VirtualClock();
    const { gatherings, answers, begin } = gather(clock);
    begin('a', 'b');
    gatherings.answered('a', 1, 'A');
    clock.advance(999);
    expect(answers).to.deep.equal([]);
    clock.advance(1);
    expect(answers).to.deep.equal([['A']]);
    gatherings.answered('b', 1, 'too late');
    begin('a', 'b');
    gatherings.answered('a', 2, 'A');
    gatherings.gone('b');
    begin();
    expect(answers).to.deep.equal([['A'], ['A'], []]);
  });
});

describe('an error of a worker', () => {
  it('arrives at the primary as it was thrown', () => {
    const issues = [{ path: 'a.yaml', message: 'no' }];
    const thrown = new MeshError('address_in_use', 'taken', {
      target: 'x',
      policy: 'p',
      revision: 1,
      issues,
    });
    const arrived = errorOf(JSON.parse(JSON.stringify(failureOf(thrown)))) as MeshError;
    expect(arrived).to.be.instanceOf(MeshError);
    expect([arrived.message, arrived.code, arrived.issues]).to.deep.equal([
      thrown.message,
      'address_in_use',
      issues,
    ]);
  });

  it('that is of no kind we know is still told', () => {
    const arrived = errorOf(JSON.parse(JSON.stringify(failureOf(new TypeError('bad')))));
    expect(arrived).not.to.be.instanceOf(MeshError);
    expect(arrived.message).to.equal('bad');
  });
});
