/**
 * What `fetch` does beyond its first attempt: retries at other instances, and what is answered when all have failed.
 */
import { expect } from 'chai';
import { request } from 'undici';
import { guard } from '../../agent/guard.js';
import type { HttpClient } from '../../agent/http/client.js';
import { endpoints, type HttpBench, startHttpCallee } from '../support/http-callee.js';
import { BIG, httpTests } from '../support/http-tests.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../support/specs.js';
import { swallowingPort } from '../support/swallowing-port.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

describe('fetch beyond its first attempt', () => {
  const { callee, use, idle } = httpTests();

  const retry = (changes = {}) => ({
    attempts: 3,
    on: ['UNAVAILABLE'],
    backoff: { baseMs: 1, maxMs: 1 },
    budget: 1,
    ...changes,
  });
  /** Lets the pauses between attempts pass. */
  const passing = async <T>(bench: HttpBench, promise: Promise<T>): Promise<T> => {
    let over = false;
    const done = promise.finally(() => {
      over = true;
    });
    done.catch(() => {});
    await until(
      () => {
        bench.clock.advance(1);
        return over;
      },
      { what: 'the call' },
    );
    return done;
  };

  it('tries a failed status again, at another instance', async () => {
    const other = await startHttpCallee();
    callee.answer = (_request, response) => void response.writeHead(503).end('down');
    const bench = use({ retry: retry(), idempotent: true, bulkhead: bulkheadSpec(1) }, [
      callee.address,
      other.address,
    ]);
    for (let i = 0; i < 4; i++) {
      const response = await passing(
        bench,
        bench.client.fetch('payments', '/', { method: 'POST', body: 'x' }),
      );
      expect(response.status).to.equal(200);
      expect(await response.text()).to.equal('hello');
    }
    expect(other.bodies).to.deep.equal(['x', 'x', 'x', 'x']);
    expect(other.requests.some(({ headers }) => headers['switchgear-previous-attempts'] === '1')).to.equal(
      true,
    );
    await idle(bench);
    await other.stop();
  });

  it('resolves the last failed status when attempts are used up', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end('down');
    const bench = use({ retry: retry(), idempotent: true });
    const response = await passing(bench, bench.client.fetch('payments', '/'));
    expect(response.status).to.equal(503);
    expect(await response.text()).to.equal('down');
    expect(callee.requests).to.have.length(3);
    await idle(bench);
  });

  it('resolves to the failed status, whole, where a further attempt is turned away', async () => {
    const rateLimit = { rate: 1, perMs: 60_000, burst: 1, scope: 'local', by: 'service' } as const;
    for (const gate of [{ circuit: circuitSpec({ minimumCalls: 1 }) }, { rateLimit }])
      for (const body of ['down', BIG]) {
        callee.answer = (_request, response) => void response.writeHead(503).end(body);
        const bench = use({ retry: retry(), idempotent: true, bulkhead: bulkheadSpec(1), ...gate });
        const response = await passing(bench, bench.client.fetch('payments', '/'));
        expect(response.status).to.equal(503);
        expect((await response.arrayBuffer()).byteLength).to.equal(body.length);
        await idle(bench);
        await bench.end();
      }
    expect(callee.requests).to.have.length(4);
  });

  it('tries again though a long body of the failed status holds the connection', async () => {
    const [long, short] = [BIG, 'hello'];
    callee.answer = (_request, response) => {
      const first = callee.requests.length === 1;
      response.writeHead(first ? 503 : 200).end(first ? long : short);
    };
    const bench = use({ retry: retry(), idempotent: true, bulkhead: bulkheadSpec(1) });
    const response = await passing(bench, bench.client.fetch('payments', '/'));
    expect([response.status, await response.text()]).to.deep.equal([200, short]);
    await idle(bench);
  });

  it('resolves to the failed status where the mesh closes in the pause', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end('down');
    const pause = { backoff: { baseMs: 10_000, maxMs: 10_000 } };
    const bench = use({ retry: retry(pause), idempotent: true });
    const promise = bench.client.fetch('payments', '/');
    await until(() => bench.targets.get('payments').tally.retries === 1, { what: 'the pause' });
    bench.targets.close();
    const response = await promise;
    expect([response.status, await response.text()]).to.deep.equal([503, 'down']);
  });

  it('says in a degraded answer which status that stands in for', async () => {
    callee.answer = (_request, response) => void response.writeHead(504).end();
    const bench = use({ fallback: [{ kind: 'handler', name: 'last' }] });
    let error: unknown;
    bench.targets.handlers.set('last', (call) => {
      error = call.error;
      return { rate: 1 };
    });
    const response = await bench.client.fetch('payments', '/');
    expect(response.headers.get('switchgear-degraded')).to.equal('handler; DEADLINE_EXCEEDED');
    expect(error).to.include({ name: 'Error', code: 'DEADLINE_EXCEEDED', message: 'payments answered 504' });
  });

  it('calls another service off when its time is over, the caller leaves or the mesh closes', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end();
    const other = await startHttpCallee(() => undefined);
    for (const how of ['expires', 'leaves', 'closes']) {
      const bench = use();
      const to = 'payments-copy';
      bench.policies = (name) =>
        name === 'payments' ? effectiveOf({ timeout: 100, fallback: [{ kind: 'target', to }] }) : {};
      bench.targets.refresh();
      bench.tell(to, endpoints([other.address]));
      const controller = new AbortController();
      const calls = Array.from({ length: 10 }, () =>
        bench.client.fetch('payments', '/', { signal: controller.signal }).catch((error: unknown) => error),
      );
      await until(() => other.bodies.length === 10, { what: 'ten calls elsewhere' });
      if (how === 'expires') bench.clock.advance(100);
      if (how === 'leaves') controller.abort('left');
      if (how === 'closes') bench.targets.close();
      for (const came of await Promise.all(calls))
        if (how === 'leaves') expect(came).to.equal('left');
        else expect(came).to.have.property('status', 503);
      await until(() => other.sockets.size === 0, { what: `the end of the calls elsewhere: ${how}` });
      expect(bench.targets.get('payments').surround?.slots?.inUse).to.equal(0);
      await idle(bench);
      other.bodies.length = 0;
      await bench.end();
    }
    await other.stop();
  });

  it('refuses a fallback that is no function before anything is sent', async () => {
    const bench = use();
    const init = { fallback: 'cache' as never };
    expect(await rejectionOf(bench.client.fetch('payments', '/', init))).to.have.property(
      'message',
      '[invalid_configuration] fetch: fallback must be a function',
    );
    expect(callee.requests).to.deep.equal([]);
  });

  it('tries nothing again that may have been executed, unless the policy says that it may be', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end();
    const bench = use({ retry: retry() });
    expect((await passing(bench, bench.client.fetch('payments', '/'))).status).to.equal(503);
    expect(callee.requests).to.have.length(1);
  });

  it('does not try again what the callee shed, what 4xx says, or a stream', async () => {
    const bench = use({ retry: retry({ on: ['UNAVAILABLE', 'RESOURCE_EXHAUSTED'] }), idempotent: true });
    callee.answer = (_request, response) =>
      void response.writeHead(503, { 'switchgear-reject': 'overloaded' }).end();
    expect((await passing(bench, bench.client.fetch('payments', '/'))).status).to.equal(503);
    callee.answer = (_request, response) => void response.writeHead(404).end();
    expect((await passing(bench, bench.client.fetch('payments', '/'))).status).to.equal(404);
    callee.answer = (_request, response) => void response.writeHead(503).end();
    const body = new Blob(['x']).stream();
    const init = { method: 'POST', body, duplex: 'half' } as const;
    expect((await passing(bench, bench.client.fetch('payments', '/', init))).status).to.equal(503);
    expect(callee.requests).to.have.length(3);
  });

  it('answers by the caller’s fallback where it is refused, not where a failed status is the answer', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end();
    const bench = use({ circuit: circuitSpec({ minimumCalls: 1 }) });
    const fallback = () => new Response('instead');
    expect((await bench.client.fetch('payments', '/', { fallback })).status).to.equal(503);
    expect(await (await bench.client.fetch('payments', '/', { fallback })).text()).to.equal('instead');
  });

  it('answers by the policy’s fallback, and says so', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end();
    const bench = use({ fallback: [{ kind: 'static', value: { rate: 1 } }], bulkhead: bulkheadSpec(1) });
    const response = await bench.client.fetch('payments', '/');
    expect(response.status).to.equal(200);
    expect(response.headers.get('switchgear-degraded')).to.match(/^static; /);
    expect(await response.json()).to.deep.equal({ rate: 1 });
    await idle(bench);
  });

  it('answers from another service, if that is well', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end();
    const other = await startHttpCallee((_request, response) => void response.end('there'));
    const bench = use();
    const to = 'payments-copy';
    bench.policies = (callee) =>
      callee === 'payments' ? effectiveOf({ fallback: [{ kind: 'target', to }] }) : {};
    bench.targets.refresh();
    bench.tell(to, endpoints([other.address]));
    const response = await bench.client.fetch('payments', '/charge', { method: 'POST', body: 'x' });
    expect(response.headers.get('switchgear-degraded')).to.match(/^target; /);
    expect(await response.text()).to.equal('there');
    expect(other.bodies).to.deep.equal(['x']);
    other.answer = (_request, answer) => void answer.writeHead(500).end();
    expect((await bench.client.fetch('payments', '/')).status).to.equal(503);
    await idle(bench);
    await other.stop();
  });

  for (const [name, ask] of [
    ['fetch', (client: HttpClient) => client.fetch('payments', '/')],
    [
      'dispatcher',
      (client: HttpClient) => request('http://payments/', { dispatcher: client.dispatcher('payments') }),
    ],
  ] as const)
    it(`leaves an instance out whose connections do not come about in time, by ${name}`, async () => {
      const hole = await swallowingPort();
      const bench = use({ attemptTimeout: 100 }, [hole.address, callee.address]);
      const ends = () => Promise.allSettled([ask(bench.client), ask(bench.client)]);
      const both = ends();
      await until(() => callee.requests.length === 1, { what: 'the one that is there' });
      bench.clock.advance(100);
      const late = (await both).find(({ status }) => status === 'rejected') as PromiseRejectedResult;
      expect(late.reason).to.include({ code: 'deadline_exceeded', target: 'payments' });
      for (let i = 0; i < 4; i++) for (const { status } of await ends()) expect(status).to.equal('fulfilled');
      expect(callee.requests).to.have.length(9);
      bench.clock.advance(1_000);
      const again = ends();
      await until(() => callee.requests.length === 10, { what: 'the one that is there' });
      bench.clock.advance(100);
      expect((await again).map(({ status }) => status)).to.have.members(['fulfilled', 'rejected']);
      await hole.stop();
    });

  it('answers from the cache, as often as it is asked', async () => {
    const bench = use({ fallback: [{ kind: 'cache', maxAgeMs: 60_000 }], bulkhead: bulkheadSpec(1) });
    const ask = async () => (await bench.client.fetch('payments', '/rates', { key: 'rates' })).text();
    expect(await ask()).to.equal('hello');
    callee.answer = (_request, response) => void response.writeHead(503).end();
    expect(await ask()).to.equal('hello');
    expect(await ask()).to.equal('hello');
    await idle(bench);
  });

  const others: readonly [string, string, RequestInit][] = [
    ['another path', '/orders/2', {}],
    ['another query', '/orders/1?all', {}],
    ['a method that changes something', '/orders/1', { method: 'POST' }],
    ['somebody else', '/orders/1', { headers: { authorization: 'bob' } }],
    ['nobody', '/orders/1', { headers: {} }],
  ];
  for (const [what, path, init] of others)
    it(`answers from the cache the same request alone, not ${what}`, async () => {
      const bench = use({ fallback: [{ kind: 'cache', maxAgeMs: 60_000 }] });
      const headers = { authorization: 'alice' };
      const ask = (to: string, more: RequestInit) =>
        bench.client.fetch('payments', to, { key: 'tenant-7', headers, ...more });
      expect((await ask('/orders/1', { headers: { ...headers, traceparent: 'a' } })).status).to.equal(200);
      await (await ask(path, { ...init, method: 'POST' })).text();
      callee.answer = (_request, response) => void response.writeHead(503).end();
      expect((await ask(path, init)).status).to.equal(503);
      expect(await (await ask('/orders/1', { headers: { ...headers, traceparent: 'b' } })).text()).to.equal(
        'hello',
      );
      await idle(bench);
    });

  it('keeps no answer of fetch for guard, nor the other way round', async () => {
    const bench = use({ fallback: [{ kind: 'cache', maxAgeMs: 60_000 }] });
    const broken = () => Promise.reject(new Error('broken'));
    const options = { key: 'rates' };
    await (await bench.client.fetch('payments', '/rates', options)).text();
    expect(await rejectionOf(guard(bench.targets, 'payments', broken, options))).to.have.property(
      'message',
      'broken',
    );
    await guard(bench.targets, 'payments', () => Promise.resolve('guarded'), options);
    callee.answer = (_request, response) => void response.writeHead(503).end();
    expect(await (await bench.client.fetch('payments', '/rates', options)).text()).to.equal('hello');
    expect(await guard(bench.targets, 'payments', broken, options)).to.equal('guarded');
    await idle(bench);
  });

  it('brings an answer whole that is too large to be kept, and does not keep it', async () => {
    const bench = use({ fallback: [{ kind: 'cache', maxAgeMs: 60_000 }] });
    callee.answer = (_request, response) => void response.end(BIG);
    const response = await bench.client.fetch('payments', '/rates', { key: 'rates' });
    expect((await response.arrayBuffer()).byteLength).to.equal(BIG.length);
    callee.answer = (_request, answer) => void answer.writeHead(503).end();
    expect((await bench.client.fetch('payments', '/rates', { key: 'rates' })).status).to.equal(503);
    await idle(bench);
  });

  it('reads a policy’s word on what the network says', async () => {
    callee.answer = (incoming) => void incoming.socket.destroy();
    const bench = use({
      circuit: circuitSpec({ minimumCalls: 1 }),
      classify: { UND_ERR_SOCKET: 'neutral' },
    });
    expect(await rejectionOf(bench.client.fetch('payments', '/'))).to.be.instanceOf(TypeError);
    expect(bench.targets.circuit('payments').state).to.equal('closed');
  });
});
