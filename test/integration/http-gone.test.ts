/**
 * Instances that are listed and gone: a machine that swallows what comes, and a port that refuses. Nothing was sent to them, so the
 * call goes to another, whatever its body; and where there is no other, the attempt that failed is known to have sent nothing.
 */
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { request, fetch as undiciFetch } from 'undici';
import type { HttpClient } from '../../agent/http/client.js';
import { deadAddress, endpoints, type HttpBench } from '../support/http-callee.js';
import { httpTests } from '../support/http-tests.js';
import { circuitSpec } from '../support/specs.js';
import { type SwallowingPort, swallowingPort } from '../support/swallowing-port.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

const forms = {
  fetch: async (client: HttpClient) =>
    (await client.fetch('payments', '/', { method: 'POST', body: 'x' })).status,
  dispatcher: async (client: HttpClient) => {
    const dispatcher = client.dispatcher('payments');
    const { statusCode, body } = await request('http://payments/', { dispatcher, method: 'POST', body: 'x' });
    await body.dump();
    return statusCode;
  },
};

describe('HTTP instances that are gone', () => {
  const { callee, use, idle } = httpTests();
  let holes: SwallowingPort[] = [];

  beforeEach(async () => {
    holes = [await swallowingPort(), await swallowingPort()];
  });
  afterEach(async () => {
    for (const hole of holes) await hole.stop();
  });

  const addresses = () => holes.map(({ address }) => address);
  /** Two calls at a time, of which one at least comes to the first that is not there. */
  const both = async (bench: HttpBench, ask: (client: HttpClient) => Promise<number>, passMs: number[]) => {
    const before = callee.requests.length;
    const asked = [ask(bench.client), ask(bench.client)];
    let left = asked.length;
    for (const call of asked)
      call.then(
        () => left--,
        () => left--,
      );
    // The connection to the other one would not fail in that time.
    const there = passMs.length > 0 ? 1 : 2;
    await until(() => callee.requests.length === before + there || left === 0, {
      what: 'the one that is there',
      timeoutMs: 5_000,
    });
    for (const ms of passMs) {
      bench.clock.advance(ms);
      // What has been given up has to say so before the next one is asked.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return Promise.all(asked);
  };

  for (const [name, ask] of Object.entries(forms)) {
    it(`costs no failed call by ${name}: who does not connect in half of the time is left for another`, async () => {
      const bench = use(
        { attemptTimeout: 100, circuit: circuitSpec({ minimumCalls: 1, failureRate: 0.01 }) },
        [holes[0]?.address ?? '', callee.address],
      );
      expect(await both(bench, ask, [50])).to.deep.equal([200, 200]);
      // It rests.
      for (let i = 0; i < 3; i++) expect(await both(bench, ask, [])).to.deep.equal([200, 200]);
      bench.clock.advance(1_000);
      expect(await both(bench, ask, [50])).to.deep.equal([200, 200]);
      expect(callee.requests).to.have.length(10);
      expect(bench.targets.circuit('payments').state).to.equal('closed');
      await idle(bench);
    });

    it(`needs no limit of time for that, by ${name}`, async () => {
      const bench = use({}, [holes[0]?.address ?? '', callee.address]);
      expect(await both(bench, ask, [1_000])).to.deep.equal([200, 200]);
      await idle(bench);
    });

    it(`tries again what was not sent though it may not be repeated, by ${name}`, async () => {
      const backoff = { baseMs: 1, maxMs: 1 };
      const bench = use(
        { attemptTimeout: 100, retry: { attempts: 2, on: ['DEADLINE_EXCEEDED'], backoff, budget: 1 } },
        addresses().slice(0, 1),
      );
      const asked = ask(bench.client);
      await until(() => bench.targets.permitsOut === 1, { what: 'the attempt' });
      bench.clock.advance(100);
      await until(() => bench.targets.get('payments').tally.retries === 1, { what: 'the pause' });
      bench.tell('payments', endpoints([callee.address]));
      bench.clock.advance(1);
      expect(await asked).to.equal(200);
      await idle(bench);
    });

    it(`ends with the attempt, by ${name}, where nobody else is there`, async () => {
      const bench = use({ attemptTimeout: 100 }, addresses());
      const asked = rejectionOf(ask(bench.client));
      await until(() => bench.targets.permitsOut === 1, { what: 'the attempt' });
      bench.clock.advance(50);
      await new Promise((resolve) => setImmediate(resolve));
      bench.clock.advance(50);
      expect(await asked).to.include({ code: 'deadline_exceeded', target: 'payments' });
      await idle(bench);
    });
  }

  it('leaves a request alone that a connection took, however long its answer takes', async () => {
    let answer = () => {};
    callee.answer = (_request, response) => {
      answer = () => void response.end('late');
    };
    const bench = use({}, [callee.address, await deadAddress()]);
    for (const ask of Object.values(forms)) {
      const before = callee.bodies.length;
      const asked = ask(bench.client);
      await until(() => callee.bodies.length === before + 1, { what: 'the request' });
      bench.clock.advance(5_000);
      answer();
      expect(await asked).to.equal(200);
    }
    expect(callee.requests).to.have.length(2);
    await idle(bench);
  });

  it('brings a stream to another instance that the first has not begun to read', async () => {
    const bench = use({}, [await deadAddress(), callee.address]);
    const dispatcher = bench.client.dispatcher('payments');
    const init = { method: 'POST', dispatcher } as const;
    const sends = [
      async () => (await request('http://payments/', { ...init, body: Readable.from(['one']) })).statusCode,
      async () => (await undiciFetch('http://payments/', { ...init, body: 'one' })).status,
      async () =>
        (await fetch('http://payments/', { method: 'POST', body: 'one', dispatcher: dispatcher as never }))
          .status,
    ];
    for (const send of sends) {
      // In turn, so that one of two goes to the first.
      for (let i = 0; i < 2; i++) expect(await send()).to.equal(200);
      bench.clock.advance(40_000);
    }
    expect(callee.bodies).to.deep.equal(Array(6).fill('one'));
    await idle(bench);
  });

  it('does not send a stream again that has been read', async () => {
    callee.answer = (incoming) => void incoming.socket.destroy();
    const bench = use({}, [callee.address, callee.address.replace('127.0.0.1', 'localhost')]);
    const dispatcher = bench.client.dispatcher('payments');
    const body = Readable.from(['one']);
    expect(
      await rejectionOf(request('http://payments/', { dispatcher, method: 'POST', body })),
    ).to.have.property('code', 'UND_ERR_SOCKET');
    expect(callee.bodies).to.deep.equal(['one']);
    await idle(bench);
  });
});
