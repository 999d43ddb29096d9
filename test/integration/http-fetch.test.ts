/**
 * `fetch` under policies, over real sockets: what reaches the callee, what counts, and when a call is really over.
 */
import { expect } from 'chai';
import { deadAddress, endpoints, startHttpCallee } from '../support/http-callee.js';
import { BIG, httpTests } from '../support/http-tests.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../support/specs.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

describe('fetch under policies', () => {
  const { callee, use, idle } = httpTests();

  it('answers the platform’s own Response', async () => {
    const { client } = use();
    const response = await client.fetch('payments', '/charge?a=1#part');
    expect(response).to.be.instanceOf(Response);
    expect(response.status).to.equal(200);
    expect(response.url).to.equal(`http://${callee.address}/charge?a=1#part`.replace('#part', ''));
    expect(await response.text()).to.equal('hello');
    expect(callee.requests[0]?.url).to.equal('/charge?a=1');
  });

  it('sends method, headers and body as they are, and nothing of ours where there is nothing to say', async () => {
    const { client } = use();
    const response = await client.fetch('payments', '/charge', {
      method: 'POST',
      headers: { 'x-a': 'b' },
      body: JSON.stringify({ amount: 3 }),
    });
    expect(response.status).to.equal(200);
    await response.text();
    expect(callee.requests[0]?.method).to.equal('POST');
    expect(callee.requests[0]?.headers).to.include({ 'x-a': 'b', host: callee.address });
    expect(callee.bodies).to.deep.equal(['{"amount":3}']);
    expect(Object.keys(callee.requests[0]?.headers ?? {}).join()).to.not.include('switchgear');
  });

  it('says how long the caller waits', async () => {
    const { client } = use({ timeout: 800 });
    await (await client.fetch('payments', '/')).text();
    expect(callee.requests[0]?.headers['x-switchgear-deadline-ms']).to.equal('800');
  });

  it('sends a body that is a stream', async () => {
    const { client } = use();
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('one '));
        controller.enqueue(new TextEncoder().encode('two'));
        controller.close();
      },
    });
    await (await client.fetch('payments', '/', { method: 'POST', body, duplex: 'half' })).text();
    expect(callee.bodies).to.deep.equal(['one two']);
  });

  it('uses a connection again', async () => {
    const { client } = use();
    for (let i = 0; i < 5; i++) await (await client.fetch('payments', '/')).text();
    // A body has been read a moment before its connection is free again.
    expect(callee.sockets.size).to.be.at.most(2);
  });

  it('follows redirects within the instance, and ends once', async () => {
    callee.answer = (request, response) => {
      if (request.url === '/old') response.writeHead(302, { location: '/new' }).end('moved');
      else response.end('here');
    };
    const bench = use({ bulkhead: bulkheadSpec(1) });
    const response = await bench.client.fetch('payments', '/old');
    expect(await response.text()).to.equal('here');
    expect(response.redirected).to.equal(true);
    await idle(bench);
  });

  it('spreads calls over the instances', async () => {
    const other = await startHttpCallee();
    const { client } = use({}, [callee.address, other.address]);
    for (let i = 0; i < 6; i++) await (await client.fetch('payments', '/')).text();
    expect([callee.requests.length, other.requests.length]).to.deep.equal([3, 3]);
    await other.stop();
  });

  it('loses no call to an instance that is gone', async () => {
    const bench = use({ circuit: circuitSpec({ minimumCalls: 1, failureRate: 0.01 }) }, [
      await deadAddress(),
      callee.address,
    ]);
    for (let i = 0; i < 6; i++)
      expect((await bench.client.fetch('payments', '/', { method: 'POST', body: 'x' })).status).to.equal(200);
    expect(callee.requests).to.have.length(6);
    expect(bench.targets.circuit('payments').state).to.equal('closed');
  });

  it('rejects as fetch does, and counts it, where no instance can be connected to', async () => {
    const bench = use({ circuit: circuitSpec({ minimumCalls: 1 }) }, [await deadAddress()]);
    const error = (await rejectionOf(bench.client.fetch('payments', '/'))) as TypeError;
    expect(error).to.be.instanceOf(TypeError).and.have.property('message', 'fetch failed');
    expect(error.cause).to.have.property('code', 'ECONNREFUSED');
    expect(bench.targets.circuit('payments').state).to.equal('open');
    const refused = await rejectionOf(bench.client.fetch('payments', '/'));
    expect(refused).to.include({ name: 'MeshError', code: 'circuit_open', target: 'payments' });
  });

  it('resolves a failed status, and its circuit opens', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end('down');
    const bench = use({ circuit: circuitSpec({ minimumCalls: 3 }) });
    for (let i = 0; i < 3; i++) {
      const response = await bench.client.fetch('payments', '/');
      expect(response.status).to.equal(503);
      expect(await response.text()).to.equal('down');
    }
    expect(await rejectionOf(bench.client.fetch('payments', '/'))).to.have.property('code', 'circuit_open');
    expect(callee.requests).to.have.length(3);
  });

  it('does not count 404, a cancel, or what the callee shed', async () => {
    const bench = use({ circuit: circuitSpec({ minimumCalls: 1 }) });
    callee.answer = (_request, response) => void response.writeHead(404).end();
    expect((await bench.client.fetch('payments', '/')).status).to.equal(404);
    callee.answer = (_request, response) =>
      void response.writeHead(429, { 'switchgear-reject': 'overloaded' }).end();
    expect((await bench.client.fetch('payments', '/')).status).to.equal(429);
    callee.answer = () => {};
    const controller = new AbortController();
    const aborted = bench.client.fetch('payments', '/', { signal: controller.signal });
    await until(() => callee.requests.length === 3, { what: 'the request' });
    controller.abort('enough');
    expect(await rejectionOf(aborted)).to.equal('enough');
    expect(bench.targets.circuit('payments').state).to.equal('closed');
    await idle(bench);
    await until(() => callee.requests[2]?.socket.destroyed, { what: 'the end of the aborted connection' });
  });

  it('holds its slot until the body has ended', async () => {
    let finish = () => {};
    callee.answer = (_request, response) => {
      response.write('a');
      finish = () => void response.end('z');
    };
    const bench = use({ bulkhead: bulkheadSpec(1) });
    const response = await bench.client.fetch('payments', '/');
    expect(await rejectionOf(bench.client.fetch('payments', '/'))).to.have.property('code', 'bulkhead_full');
    expect(bench.targets.permitsOut).to.equal(1);
    finish();
    expect(await response.text()).to.equal('az');
    await idle(bench);
  });

  it('gives its slot back when the body is cancelled, aborted, or cut by the server', async () => {
    const bench = use({ bulkhead: bulkheadSpec(1) });
    callee.answer = (_request, response) => void response.end(BIG);
    const cancelled = await bench.client.fetch('payments', '/');
    expect(bench.targets.permitsOut).to.equal(1);
    await cancelled.body?.cancel();
    await idle(bench);

    const controller = new AbortController();
    const aborted = await bench.client.fetch('payments', '/', { signal: controller.signal });
    const reading = aborted.text();
    controller.abort(new Error('enough'));
    expect(await rejectionOf(reading)).to.have.property('message', 'enough');
    await idle(bench);

    callee.answer = (request, response) => {
      response.writeHead(200, { 'content-length': 1_000 });
      response.write('a');
      setImmediate(() => request.socket.destroy());
    };
    const cut = await bench.client.fetch('payments', '/');
    expect(await rejectionOf(cut.text())).to.be.instanceOf(TypeError);
    await idle(bench);
  });

  it('gives its slot back when all of a small body has come, read or not', async () => {
    const bench = use({ bulkhead: bulkheadSpec(1) });
    const response = await bench.client.fetch('payments', '/');
    await idle(bench);
    expect(await response.text()).to.equal('hello');
    await (await bench.client.fetch('payments', '/', { method: 'HEAD' })).text();
    await idle(bench);
  });

  it('waits in line for a slot', async () => {
    const bench = use({ bulkhead: bulkheadSpec(1, { maxQueue: 5 }) });
    const statuses = await Promise.all(
      [1, 2, 3].map(async () => (await bench.client.fetch('payments', '/')).status),
    );
    expect(statuses).to.deep.equal([200, 200, 200]);
    await idle(bench);
  });

  it('ends at its timeout, and aborts what is under way', async () => {
    callee.answer = () => {};
    const bench = use({ timeout: 500, circuit: circuitSpec({ minimumCalls: 1 }) });
    const late = rejectionOf(bench.client.fetch('payments', '/'));
    await until(() => callee.requests.length === 1, { what: 'the request' });
    bench.clock.advance(500);
    expect(await late).to.include({ code: 'deadline_exceeded', target: 'payments' });
    expect(bench.targets.circuit('payments').state).to.equal('open');
    await until(() => callee.sockets.size === 0, { what: 'the end of the connection' });
    await idle(bench);
  });

  it('cuts a body that outlasts streamTimeout', async () => {
    callee.answer = (_request, response) => void response.write('a');
    const bench = use({ streamTimeout: 2_000, bulkhead: bulkheadSpec(1) });
    const response = await bench.client.fetch('payments', '/');
    const reading = rejectionOf(response.text());
    bench.clock.advance(2_000);
    expect(await reading)
      .to.have.property('message')
      .that.matches(/within 2000 ms/);
    await idle(bench);
  });

  it('tells of a body that outlasts the streamTimeout of a policy in shadow, and does not cut it', async () => {
    callee.answer = (_request, response) => void response.write('a');
    const bench = use({});
    bench.apply({}, effectiveOf({ streamTimeout: 2_000 }));
    for (const ms of [1_999, 2_000]) {
      const response = await bench.client.fetch('payments', '/');
      bench.clock.advance(ms);
      await response.body?.cancel();
      await until(() => bench.targets.permitsOut === 0, { what: 'the end of the body' });
      const { would } = bench.targets.get('payments').tally;
      expect(would, `after ${ms} ms`).to.deep.equal(ms < 2_000 ? {} : { 'would-timeout': 1 });
    }
  });

  it('leaves no listener on a signal that many calls share', async () => {
    const { client } = use();
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners++;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners--;
      removeEventListener.apply(signal, args);
    };
    await Promise.all(
      Array.from({ length: 20 }, async () => (await client.fetch('payments', '/', { signal })).text()),
    );
    // `once` and an abort don't matter here: nobody aborted, so each that came has to be taken away.
    await until(() => listeners <= 0, { what: 'the end of the listeners' });
  });

  it('refuses what is no path of the service, before anything is counted', async () => {
    const { client, targets } = use({ circuit: circuitSpec({ minimumCalls: 1 }) });
    for (const path of ['charge', 'http://example.com/', '', undefined, 7] as string[])
      expect(await rejectionOf(client.fetch('payments', path))).to.have.property(
        'code',
        'invalid_configuration',
      );
    expect(await rejectionOf(client.fetch('no service', '/'))).to.have.property(
      'code',
      'invalid_configuration',
    );
    expect(await rejectionOf(client.fetch('payments', '/', { body: 'x' }))).to.be.instanceOf(TypeError);
    expect(await rejectionOf(client.fetch('payments', '/', { headers: { 'a b': 'c' } }))).to.be.instanceOf(
      TypeError,
    );
    expect(targets.circuit('payments').state).to.equal('closed');
    expect(callee.requests).to.have.length(0);
  });

  it('waits for the first word about instances, within its time', async () => {
    const bench = use({ timeout: 500, circuit: circuitSpec({ minimumCalls: 1 }) }, 'unknown');
    const waiting = bench.client.fetch('payments', '/');
    await new Promise((resolve) => setImmediate(resolve));
    bench.tell('payments', endpoints([callee.address]));
    expect((await waiting).status).to.equal(200);
    bench.lists.clear();
    const late = rejectionOf(bench.client.fetch('payments', '/'));
    await new Promise((resolve) => setImmediate(resolve));
    bench.clock.advance(500);
    expect(await late).to.have.property('code', 'deadline_exceeded');
    await idle(bench);
  });

  it('says so where there is no instance, and counts nothing', async () => {
    const bench = use({ circuit: circuitSpec({ minimumCalls: 1 }) }, []);
    expect(await rejectionOf(bench.client.fetch('payments', '/'))).to.include({
      code: 'no_instances',
      target: 'payments',
    });
    expect(bench.targets.circuit('payments').state).to.equal('closed');
    await idle(bench);
  });

  it('is refused once the client is closed, and what waits as well', async () => {
    const bench = use({}, 'unknown');
    const waiting = rejectionOf(bench.client.fetch('payments', '/'));
    await new Promise((resolve) => setImmediate(resolve));
    await bench.client.close();
    expect(await waiting).to.have.property('code', 'mesh_closed');
    expect(await rejectionOf(bench.client.fetch('payments', '/'))).to.have.property('code', 'mesh_closed');
    await bench.client.close();
  });
});
