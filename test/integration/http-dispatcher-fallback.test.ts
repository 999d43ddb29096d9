/**
 * Fallbacks of requests through the dispatcher: what answers in place of the callee, and what can't.
 */
import { expect } from 'chai';
import { request } from 'undici';
import { endpoints, startHttpCallee } from '../support/http-callee.js';
import { httpTests } from '../support/http-tests.js';
import { effectiveOf } from '../support/specs.js';
import { until } from '../support/until.js';

describe('fallbacks of the dispatcher', () => {
  const { callee, use: client, idle } = httpTests();

  const use = (...args: Parameters<typeof client>) => {
    const bench = client(...args);
    return { bench, dispatcher: bench.client.dispatcher('payments') };
  };

  it('answers by a fallback', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end();
    const { dispatcher } = use({ fallback: [{ kind: 'static', value: { rate: 1 } }] });
    const { statusCode, headers, body } = await request('http://payments/', { dispatcher });
    expect(statusCode).to.equal(200);
    expect(headers).to.have.property('switchgear-degraded');
    expect(await body.json()).to.deep.equal({ rate: 1 });
  });

  it('passes a fallback over that JSON can’t say, and ends where the reader throws', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end();
    const { bench, dispatcher } = use({
      fallback: [
        { kind: 'handler', name: 'large' },
        { kind: 'handler', name: 'code' },
        { kind: 'static', value: 'plain' },
      ],
    });
    bench.targets.handlers.set('large', () => ({ amount: 1n }));
    bench.targets.handlers.set('code', () => () => 1);
    const { headers, body } = await request('http://payments/', { dispatcher });
    expect(await body.json()).to.equal('plain');
    expect(headers['switchgear-degraded']).to.match(/^static; /);
    const error = new Error('not like that');
    const handed = await new Promise((resolve) => {
      dispatcher.dispatch(
        { method: 'GET', path: '/' },
        {
          onRequestStart: () => {},
          onResponseStart: () => {
            throw error;
          },
          onResponseError: (_controller, fault) => resolve(fault),
        },
      );
    });
    expect(handed).to.equal(error);
    await idle(bench);
  });

  it('hands on what another service’s own fallback says, as it is', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end();
    const { bench, dispatcher } = use();
    const to = 'payments-copy';
    bench.policies = (name) =>
      effectiveOf({
        fallback: name === 'payments' ? [{ kind: 'target', to }] : [{ kind: 'static', value: { rate: 2 } }],
      });
    bench.targets.refresh();
    bench.tell(to, endpoints([callee.address]));
    const { headers, body } = await request('http://payments/', { dispatcher });
    expect(headers['switchgear-degraded']).to.match(/^target; /);
    expect(await body.json()).to.deep.equal({ rate: 2 });
    await idle(bench);
  });

  it('answers from another service, and says so', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end();
    const other = await startHttpCallee();
    const { bench, dispatcher } = use();
    const to = 'payments-copy';
    bench.policies = (name) =>
      name === 'payments' ? effectiveOf({ fallback: [{ kind: 'target', to }] }) : {};
    bench.targets.refresh();
    bench.tell(to, endpoints([other.address]));
    const { headers, body } = await request('http://payments/', { dispatcher });
    expect(headers['switchgear-degraded']).to.match(/^target; /);
    expect(await body.text()).to.equal('hello');
    await idle(bench);
    await other.stop();
  });

  it('calls another service off when its time is over', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end();
    const other = await startHttpCallee(() => undefined);
    const { bench, dispatcher } = use();
    const to = 'payments-copy';
    bench.policies = (name) =>
      name === 'payments' ? effectiveOf({ timeout: 100, fallback: [{ kind: 'target', to }] }) : {};
    bench.targets.refresh();
    bench.tell(to, endpoints([other.address]));
    const asked = request('http://payments/', { dispatcher });
    await until(() => other.bodies.length === 1, { what: 'the call elsewhere' });
    bench.clock.advance(100);
    const { statusCode, body } = await asked;
    await body.dump();
    expect(statusCode).to.equal(503);
    await until(() => other.sockets.size === 0, { what: 'the end of the call elsewhere' });
    await idle(bench);
    await other.stop();
  });
});
