/**
 * The dispatcher under policies, over real sockets, for whoever may use one: undici's request and fetch, and the fetch of the Node
 * that runs. What matters most is that it ends once, and that no permit is left out.
 */
import { expect } from 'chai';
import { type Dispatcher, interceptors, RetryAgent, request, fetch as undiciFetch } from 'undici';
import { startHttpCallee } from '../support/http-callee.js';
import { BIG, httpTests } from '../support/http-tests.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../support/specs.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

describe('the dispatcher under policies', () => {
  const { callee, use: client, idle } = httpTests();

  const use = (...args: Parameters<typeof client>) => {
    const bench = client(...args);
    return { bench, dispatcher: bench.client.dispatcher('payments') };
  };
  const nodeFetch = (url: string, dispatcher: Dispatcher, init: RequestInit = {}) =>
    fetch(url, { ...init, dispatcher: dispatcher as never });

  it('goes to an instance, whatever host is named', async () => {
    const { bench, dispatcher } = use({ bulkhead: bulkheadSpec(1) });
    const { statusCode, body } = await request('http://payments/charge?a=1', { dispatcher });
    expect(statusCode).to.equal(200);
    expect(await body.text()).to.equal('hello');
    expect(callee.requests[0]?.url).to.equal('/charge?a=1');
    await idle(bench);
  });

  it('serves undici’s fetch and Node’s own', async () => {
    const { bench, dispatcher } = use({ timeout: 800, bulkhead: bulkheadSpec(1) });
    callee.answer = (_request, response) =>
      void response.writeHead(200, { 'set-cookie': ['a=1', 'b=2'] }).end('hello');
    for (const ask of [
      () => undiciFetch('http://payments/', { dispatcher, method: 'POST', body: 'one' }),
      () => nodeFetch('http://payments/', dispatcher, { method: 'POST', body: 'one' }),
    ]) {
      const response = await ask();
      expect(await response.text()).to.equal('hello');
      expect(response.headers.getSetCookie()).to.deep.equal(['a=1', 'b=2']);
      await idle(bench);
    }
    expect(callee.bodies).to.deep.equal(['one', 'one']);
    expect(callee.requests[1]?.headers['x-switchgear-deadline-ms']).to.equal('800');
  });

  it('brings a large body whole, at the reader’s pace', async () => {
    callee.answer = (_request, response) => void response.end(BIG);
    const { dispatcher } = use();
    const { body } = await request('http://payments/', { dispatcher });
    let received = 0;
    for await (const chunk of body) {
      received += (chunk as Buffer).length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(received).to.equal(BIG.length);
    for (const response of [
      await undiciFetch('http://payments/', { dispatcher }),
      await nodeFetch('http://payments/', dispatcher),
    ])
      expect((await response.arrayBuffer()).byteLength).to.equal(BIG.length);
  });

  it('rejects with a MeshError where a policy refuses, as the cause for fetch', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end('down');
    const { dispatcher } = use({ circuit: circuitSpec({ minimumCalls: 1 }) });
    const { statusCode, body } = await request('http://payments/', { dispatcher });
    expect([statusCode, await body.text()]).to.deep.equal([503, 'down']);
    expect(await rejectionOf(request('http://payments/', { dispatcher }))).to.include({
      name: 'MeshError',
      code: 'circuit_open',
    });
    const error = (await rejectionOf(nodeFetch('http://payments/', dispatcher))) as Error;
    expect(error.cause).to.have.property('code', 'circuit_open');
    expect(callee.requests).to.have.length(1);
  });

  it('holds its slot until the body has ended', async () => {
    let finish = () => {};
    callee.answer = (_request, response) => {
      response.write('a');
      finish = () => void response.end('z');
    };
    const { bench, dispatcher } = use({ bulkhead: bulkheadSpec(1) });
    const { body } = await request('http://payments/', { dispatcher });
    expect(await rejectionOf(request('http://payments/', { dispatcher }))).to.have.property(
      'code',
      'bulkhead_full',
    );
    finish();
    expect(await body.text()).to.equal('az');
    await idle(bench);
  });

  it('is aborted before the head, counted neither way', async () => {
    callee.answer = () => {};
    const { bench, dispatcher } = use({
      circuit: circuitSpec({ minimumCalls: 1 }),
      bulkhead: bulkheadSpec(1),
    });
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = rejectionOf(request('http://payments/', { dispatcher, signal }));
    await until(() => callee.requests.length === 1, { what: 'the request' });
    controller.abort(new Error('enough'));
    expect(await aborted).to.have.property('message', 'enough');
    await idle(bench);
    expect(bench.targets.circuit('payments').state).to.equal('closed');
    await until(() => callee.sockets.size === 0, { what: 'the end of the connection' });
    expect(await rejectionOf(request('http://payments/', { dispatcher, signal }))).to.have.property(
      'message',
    );
    await idle(bench);
    expect(callee.requests).to.have.length(1);
  });

  it('is aborted while it waits for an instance, and in line', async () => {
    const { bench, dispatcher } = use({ bulkhead: bulkheadSpec(1, { maxQueue: 1 }) });
    bench.lists.clear();
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = [1, 2].map(() => rejectionOf(request('http://payments/', { dispatcher, signal })));
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort(new Error('enough'));
    for (const error of await Promise.all(waiting)) expect(error).to.have.property('message', 'enough');
    await idle(bench);
  });

  it('is aborted amid the body', async () => {
    callee.answer = (_request, response) => void response.end(BIG);
    const { bench, dispatcher } = use({ bulkhead: bulkheadSpec(1) });
    const controller = new AbortController();
    const { body } = await request('http://payments/', { dispatcher, signal: controller.signal });
    const reading = rejectionOf(body.text());
    controller.abort(new Error('enough'));
    expect(await reading).to.have.property('message', 'enough');
    await idle(bench);
    const dropped = await request('http://payments/', { dispatcher });
    dropped.body.on('error', () => {}).destroy();
    await idle(bench);
    const cancelled = await nodeFetch('http://payments/', dispatcher);
    await cancelled.body?.cancel();
    await idle(bench);
  });

  it('fails with the server, before the head and amid the body', async () => {
    const { bench, dispatcher } = use({
      bulkhead: bulkheadSpec(1),
      circuit: circuitSpec({ minimumCalls: 1 }),
    });
    callee.answer = (incoming, response) => {
      response.writeHead(200, { 'content-length': 1_000 });
      response.write('a');
      setImmediate(() => incoming.socket.destroy());
    };
    const { body } = await request('http://payments/', { dispatcher });
    expect(await rejectionOf(body.text())).to.have.property('code', 'UND_ERR_SOCKET');
    await idle(bench);
    callee.answer = (incoming) => void incoming.socket.destroy();
    expect(await rejectionOf(request('http://payments/', { dispatcher }))).to.have.property(
      'code',
      'UND_ERR_SOCKET',
    );
    await idle(bench);
    expect(bench.targets.circuit('payments').state).to.equal('open');
  });

  it('ends at its timeout', async () => {
    callee.answer = () => {};
    const { bench, dispatcher } = use({ timeout: 500 });
    const late = rejectionOf(request('http://payments/', { dispatcher }));
    await until(() => callee.requests.length === 1, { what: 'the request' });
    bench.clock.advance(500);
    expect(await late).to.have.property('code', 'deadline_exceeded');
    await until(() => callee.sockets.size === 0, { what: 'the end of the connection' });
    await idle(bench);
  });

  it('cuts a body that outlasts streamTimeout', async () => {
    callee.answer = (_request, response) => void response.write('a');
    const { bench, dispatcher } = use({ streamTimeout: 2_000 });
    const { body } = await request('http://payments/', { dispatcher });
    const reading = rejectionOf(body.text());
    bench.clock.advance(2_000);
    expect(await reading).to.have.property('code', 'deadline_exceeded');
    await idle(bench);
  });

  it('tells of a body that outlasts the streamTimeout of a policy in shadow, and does not cut it', async () => {
    callee.answer = (_request, response) => void response.write('a');
    const { bench, dispatcher } = use();
    bench.apply({}, effectiveOf({ streamTimeout: 2_000 }));
    const { body } = await request('http://payments/', { dispatcher });
    bench.clock.advance(2_000);
    for (const socket of callee.sockets) socket.destroy();
    await rejectionOf(body.text());
    await idle(bench);
    expect(bench.targets.get('payments').tally.would).to.deep.equal({ 'would-timeout': 1 });
  });

  const retried: readonly [string, (dispatcher: Dispatcher) => Dispatcher][] = [
    ['RetryAgent', (dispatcher) => new RetryAgent(dispatcher, { minTimeout: 1 })],
    ['interceptors.retry', (dispatcher) => dispatcher.compose(interceptors.retry({ minTimeout: 1 }))],
  ];
  for (const [name, around] of retried)
    it(`is tried again by undici's own ${name}, and tells it of each failure`, async () => {
      const { bench, dispatcher } = use();
      callee.answer = (_request, response) =>
        void response.writeHead(callee.requests.length < 4 ? 503 : 200).end('at last');
      const { statusCode, body } = await request('http://payments/', { dispatcher: around(dispatcher) });
      expect([statusCode, await body.text()]).to.deep.equal([200, 'at last']);
      expect(callee.requests).to.have.length(4);
      await idle(bench);
    });

  it('does not count a request that can not be made', async () => {
    const { bench, dispatcher } = use({ circuit: circuitSpec({ minimumCalls: 1 }) });
    const error = await rejectionOf(request('http://payments/', { dispatcher, headers: { 'a b': 'c' } }));
    expect(error).to.have.property('code', 'UND_ERR_INVALID_ARG');
    expect(bench.targets.circuit('payments').state).to.equal('closed');
    await idle(bench);
  });

  it('passes an upgrade on, and holds its slot until the socket closes', async () => {
    callee.answer = (incoming) =>
      void incoming.socket.end(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nhi',
      );
    const { bench, dispatcher } = use({ bulkhead: bulkheadSpec(1) });
    const { socket } = await dispatcher.upgrade({ path: '/', protocol: 'echo' });
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).to.equal('hi');
    socket.destroy();
    await idle(bench);
  });

  it('is no pool of its own: closing it closes nothing', async () => {
    const { dispatcher } = use();
    await dispatcher.close();
    await dispatcher.destroy();
    expect((await request('http://payments/', { dispatcher })).statusCode).to.equal(200);
  });

  it('refuses once its mesh is closed', async () => {
    const { bench, dispatcher } = use();
    await bench.client.close();
    expect(await rejectionOf(request('http://payments/', { dispatcher }))).to.have.property(
      'code',
      'mesh_closed',
    );
  });

  it('leaves no permit out, whatever happens to many at a time', async () => {
    callee.answer = (incoming, response) => {
      const kind = Number(incoming.url?.slice(1)) % 5;
      if (kind === 0) response.end('hello');
      else if (kind === 1) response.writeHead(500).end('wrong');
      else if (kind === 2) incoming.socket.destroy();
      else if (kind === 3) response.end(BIG);
      else response.write('never ends');
    };
    const { bench, dispatcher } = use({ bulkhead: bulkheadSpec(10, { maxQueue: 200 }) });
    await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const controller = new AbortController();
        try {
          const { body } = await request(`http://payments/${i}`, { dispatcher, signal: controller.signal });
          if (i % 5 === 4) controller.abort();
          if (i % 10 === 3) body.destroy();
          await body.text();
        } catch {}
      }),
    );
    await idle(bench);
  });

  it('tries again what can be sent again', async () => {
    const other = await startHttpCallee();
    callee.answer = (_request, response) => void response.writeHead(503).end(BIG.subarray(0, 100_000));
    const retry = { attempts: 3, on: ['UNAVAILABLE'], backoff: { baseMs: 1, maxMs: 1 }, budget: 1 };
    const { bench, dispatcher } = use({ retry, idempotent: true, bulkhead: bulkheadSpec(1) }, [
      callee.address,
      other.address,
    ]);
    for (let i = 0; i < 4; i++) {
      let over = false;
      const answered = request('http://payments/', { dispatcher, method: 'POST', body: 'x' }).finally(() => {
        over = true;
      });
      answered.catch(() => {});
      await until(
        () => {
          bench.clock.advance(1);
          return over;
        },
        { what: 'the answer' },
      );
      const { statusCode, body } = await answered;
      expect(statusCode).to.equal(200);
      expect(await body.text()).to.equal('hello');
    }
    expect(callee.requests.length).to.be.greaterThan(0);
    expect(other.bodies).to.deep.equal(['x', 'x', 'x', 'x']);
    await idle(bench);
    await other.stop();
  });

  it('cuts a response that nobody wants and that does not end, a second later', async () => {
    const slow = new Set<object>();
    callee.answer = (_request, response) => {
      if (callee.requests.length > 1) return void response.end('hello');
      slow.add(response);
      response.on('close', () => slow.delete(response));
      response.writeHead(503).write('a');
    };
    const { bench, dispatcher } = use({
      retry: { attempts: 2, on: ['UNAVAILABLE'], backoff: { baseMs: 1, maxMs: 1 }, budget: 1 },
      idempotent: true,
    });
    const asked = request('http://payments/', { dispatcher });
    await until(() => bench.targets.get('payments').tally.retries === 1, { what: 'the pause' });
    bench.clock.advance(1);
    const { body } = await asked;
    expect(await body.text()).to.equal('hello');
    expect(slow.size).to.equal(1);
    bench.clock.advance(1_000);
    await until(() => slow.size === 0, { what: 'the end of the other response' });
    await idle(bench);
  });

  it('hands over the failed status, whole, where a further attempt is turned away', async () => {
    for (const sent of ['down', BIG]) {
      callee.answer = (_request, response) => void response.writeHead(503).end(sent);
      const { bench, dispatcher } = use({
        retry: { attempts: 3, on: ['UNAVAILABLE'], backoff: { baseMs: 1, maxMs: 1 }, budget: 1 },
        idempotent: true,
        bulkhead: bulkheadSpec(1),
        circuit: circuitSpec({ minimumCalls: 1 }),
      });
      const asked = request('http://payments/', { dispatcher });
      await until(() => bench.targets.get('payments').tally.retries === 1, { what: 'the pause' });
      expect(bench.targets.permitsOut, 'slots held in the pause').to.equal(0);
      bench.clock.advance(1);
      const { statusCode, body } = await asked;
      expect(statusCode).to.equal(503);
      expect((await body.arrayBuffer()).byteLength).to.equal(sent.length);
      await bench.end();
    }
    expect(callee.requests).to.have.length(2);
  });
});
