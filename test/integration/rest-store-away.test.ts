/** The store away: reads go on and say that they are stale, writes are 503 with a time to come back, the replica stays ready. */
import { expect } from 'chai';
import type { Mirror, MirrorHealth } from '../../control-plane/ports.js';
import type { App } from '../../control-plane/rest/context.js';
import { buildRest } from '../../control-plane/rest/server.js';
import { OutcomeUnknown } from '../../control-plane/store/request.js';
import { MeshError } from '../../core/errors.js';
import { mirrorView } from '../support/mirror-view.js';
import { policy, type RestClient, restClient } from '../support/rest.js';
import { restContext, type TestContext } from '../support/rest-context.js';

const away = () =>
  Promise.reject(new MeshError('store_unavailable', 'redis://127.0.0.1:6379 does not answer'));

/** The real mirror, whose store can be taken away, or was never there. */
interface State {
  health: MirrorHealth;
  loaded: boolean;
  write?: Mirror['write'] | undefined;
}

function interruptible(state: State) {
  return (real: Mirror): Mirror =>
    mirrorView(real, () => ({
      health: state.health,
      ...(state.loaded ? {} : { dataset: '' }),
      ...(state.write ? { write: state.write } : {}),
      ...(state.health.up ? {} : { write: away, history: away, historic: away, audit: away }),
    }));
}

describe('REST without its store', () => {
  const state: State = { health: { up: true, reason: '' }, loaded: true };
  let context: TestContext;
  let app: App;
  let sg: RestClient;
  beforeEach(async () => {
    Object.assign(state, { health: { up: true, reason: '' }, loaded: true, write: undefined });
    context = await restContext({ mirror: interruptible(state) });
    app = await buildRest(context);
    sg = restClient(await app.listen({ host: '127.0.0.1', port: 0 }));
    await sg.put('/v1/policies/a', policy('a'));
  });
  afterEach(async () => {
    await app.close();
    await context.close();
  });

  it('answers reads from memory, marked stale', async () => {
    expect((await sg.get('/v1/policies/a')).headers.has('switchgear-stale')).to.equal(false);
    state.health = { up: false, reason: 'connection refused' };
    for (const path of [
      '/v1/policies/a',
      '/v1/policies',
      '/v1/services',
      '/v1/agents',
      '/v1/explain?to=inventory',
      '/v1/export',
    ]) {
      const answer = await sg.get(path);
      expect(answer.status, path).to.equal(200);
      expect(answer.headers.get('switchgear-stale'), path).to.equal('true');
    }
    expect((await sg.put('/v1/policies/a?dryRun=true', policy('a'))).status).to.equal(200);
    expect((await sg.post('/v1/validate', policy('a'))).status).to.equal(200);
  });

  it('says of a write that was sent, and only of that, that it may be stored all the same', async () => {
    const lost = new MeshError('store_unavailable', 'does not answer (Command timed out)', {
      target: 'redis://x',
    });
    for (const [error, headers, words] of [
      [new OutcomeUnknown(lost), { 'idempotency-key': 'k' }, 'repeat it with the same Idempotency-Key'],
      [new OutcomeUnknown(lost), {}, 'look before you repeat it'],
      [lost, { 'idempotency-key': 'k' }, undefined],
    ] as const) {
      state.write = () => Promise.reject(error);
      const { status, body } = await sg.put('/v1/policies/a', policy('a'), headers);
      expect(status).to.equal(503);
      const more = words === undefined ? '$' : `; it may have been written all the same; ${words}`;
      expect(body.detail).to.match(new RegExp(`^redis://x: does not answer .Command timed out.${more}`));
    }
  });

  it('answers 503 and when to come back to writes, and to what only the store knows', async () => {
    state.health = { up: false, reason: 'connection refused' };
    const answers = [
      await sg.put('/v1/policies/a', policy('a')),
      await sg.delete('/v1/policies/a'),
      await sg.post('/v1/apply', policy('a')),
      await sg.post('/v1/policies/a/rollback', { to: 1 }),
      await sg.get('/v1/policies/a/revisions'),
      await sg.get('/v1/policies/a/revisions/1'),
      await sg.get('/v1/audit'),
    ];
    for (const { status, headers, body } of answers) {
      expect(status).to.equal(503);
      expect(body.code).to.equal('store_unavailable');
      expect(body.detail).to.include('does not answer');
      expect(Number(headers.get('retry-after'))).to.be.greaterThan(0);
    }
    const { text } = await sg.get('/metrics');
    expect(text).to.match(/^switchgear_store_up\{[^}]*\} 0$/m);
    expect(text).to.match(/^switchgear_writes_total\{[^}]*action="put"[^}]*result="unavailable"[^}]*\} 1$/m);
  });

  it('stays ready, and says how the store is', async () => {
    state.health = { up: false, reason: 'connection refused' };
    const { status, body } = await sg.get('/readyz');
    expect(status).to.equal(200);
    expect(body.store).to.deep.equal({ up: false, reason: 'connection refused' });
  });

  it('does not take a store that was never read for an empty one', async () => {
    Object.assign(state, { health: { up: false, reason: 'connection refused' }, loaded: false });
    for (const path of ['/v1/policies', '/v1/policies/a', '/v1/export', '/v1/services', '/v1/explain?to=x'])
      expect((await sg.get(path)).body.code, path).to.equal('store_unavailable');
    expect((await sg.post('/v1/validate', policy('a'))).status).to.equal(200);
    expect((await sg.get('/healthz')).status).to.equal(200);
  });

  it('bends a time that no date can hold, rather than fail the whole answer', async () => {
    const entry = { id: '1', at: 1e300, author: 'a', action: 'put', changes: [] };
    const odd = await buildRest({
      ...context,
      mirror: mirrorView(context.mirror, () => ({ audit: async () => [entry] })),
    });
    const { statusCode, body } = await odd.inject('/v1/audit');
    await odd.close();
    expect(statusCode).to.equal(200);
    expect(body).to.include('+275760-09-13');
  });

  it('tells an error of our own to the log alone, with a reference in both', async () => {
    const lines: { fields: object; message: string }[] = [];
    const logger = {
      ...context.logger,
      error: (fields: object, message: string) => lines.push({ fields, message }),
    };
    context.roster.agents = () => Promise.reject(new Error('password=s3cret at line 7'));
    const broken = await buildRest({ ...context, logger });
    const { statusCode, body } = await broken.inject('/v1/agents');
    await broken.close();
    expect(statusCode).to.equal(500);
    expect(body).not.to.include('s3cret');
    const reference = /reference ([0-9a-f]{8})/.exec(body)?.[1];
    expect(lines).to.have.length(1);
    expect(lines[0]?.fields).to.include({
      reference,
      error: 'password=s3cret at line 7',
      path: '/v1/agents',
    });
  });
});
