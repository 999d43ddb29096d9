/** GET /v1/events on a real socket: live, resumed, filtered, bounded, alive, and ended with the control plane. */
import { expect } from 'chai';
import type { App } from '../../control-plane/rest/context.js';
import { buildRest } from '../../control-plane/rest/server.js';
import { EventReader } from '../support/event-reader.js';
import { agentRow } from '../support/fake-roster.js';
import { issuesOf, policy, type Running, startRest } from '../support/rest.js';
import { restContext, type TestContext } from '../support/rest-context.js';
import { until } from '../support/until.js';
import { VirtualClock } from '../support/virtual-clock.js';

describe('events over REST', () => {
  describe('of a whole control plane', () => {
    let sg: Running;
    const readers: EventReader[] = [];
    const open = async (query = '', headers: Record<string, string> = {}) => {
      const reader = await EventReader.open(`${sg.url}/v1/events${query}`, headers);
      readers.push(reader);
      return reader;
    };
    beforeEach(async () => {
      sg = await startRest();
    });
    afterEach(async () => {
      for (const reader of readers.splice(0)) reader.close();
      await sg.close();
    });

    it('are told as they happen, to every reader', async () => {
      const [one, two] = [await open(), await open()];
      expect(one.contentType).to.equal('text/event-stream; charset=utf-8');
      await sg.put('/v1/policies/a', policy('a'));
      for (const reader of [one, two])
        expect((await reader.next()).data).to.include({ policy: 'a', revision: 1, change: 'created' });
    });

    it('go on where a reader was cut off', async () => {
      const first = await open();
      await sg.put('/v1/policies/a', policy('a'));
      const { id } = await first.next();
      first.close();
      await sg.put('/v1/policies/b', policy('b'));
      await sg.put('/v1/policies/c', policy('c'));
      const second = await open('', { 'last-event-id': id });
      await sg.put('/v1/policies/d', policy('d'));
      const names = [await second.next(), await second.next(), await second.next()].map(
        ({ data }) => data.policy,
      );
      expect(names).to.deep.equal(['b', 'c', 'd']);
    });

    it('tell a reader of another life that there is a gap, and go on from now', async () => {
      await sg.put('/v1/policies/a', policy('a'));
      const reader = await open('', { 'last-event-id': 'ffffffff-7' });
      const gap = await reader.next();
      expect(gap.type).to.equal('gap');
      expect(gap.data.after).to.equal('ffffffff-7');
      await sg.put('/v1/policies/b', policy('b'));
      expect((await reader.next()).data.policy).to.equal('b');
      const resumed = await open('', { 'last-event-id': gap.id });
      expect((await resumed.next()).data.policy).to.equal('b');
    });

    it('can be narrowed to some types', async () => {
      const reader = await open('?types=circuit,store');
      await sg.put('/v1/policies/a', policy('a'));
      const all = await open('?types=policy');
      await sg.put('/v1/policies/b', policy('b'));
      await all.next('policy');
      expect(reader.events).to.deep.equal([]);
      expect(issuesOf(await sg.get('/v1/events?types=nothing'))[0]).to.include('query.types');
    });

    it('end when the control plane stops, without keeping it', async () => {
      const reader = await open();
      await sg.close();
      await until(() => reader.ended, { what: 'the end of the stream' });
    });
  });

  describe('of many and slow readers', () => {
    let context: TestContext;
    let app: App;
    let url: string;
    const clock = new VirtualClock();
    const readers: EventReader[] = [];
    const open = async () => {
      const reader = await EventReader.open(`${url}/v1/events`);
      readers.push(reader);
      return reader;
    };
    beforeEach(async () => {
      context = await restContext({ clock });
      app = await buildRest(context);
      url = await app.listen({ host: '127.0.0.1', port: 0 });
    });
    afterEach(async () => {
      for (const reader of readers.splice(0)) reader.close();
      await app.close();
      await context.close();
    });

    it('show both sides that the other lives', async () => {
      const reader = await open();
      const before = reader.comments.length;
      clock.advance(15_000);
      await until(() => reader.comments.length > before, { what: 'a heartbeat' });
    });

    it('cut a reader that does not keep up, count it, and disturb nobody else', async () => {
      const [slow, quick] = [await open(), await open()];
      slow.pause();
      const reason = 'x'.repeat(20_000);
      const row = agentRow('checkout', 'c1', { refused: [{ policy: 'a', revision: 1, reason }] });
      // More than sockets and the bound can hold, in steps that a reader who reads takes easily.
      for (let n = 1; n <= 2000 && context.events.readers === 2; n++) {
        context.roster.tellAgent(row, 'refused');
        await until(() => quick.events.length === n, { what: `event ${n} at the quick reader` });
      }
      expect(context.events.readers).to.equal(1);
      expect(quick.ended).to.equal(false);
      const { text } = await context.telemetry.scrape();
      expect(text).to.match(/^switchgear_event_streams_cut_total\{[^}]*\} 1$/m);
      expect(text).to.match(/^switchgear_event_streams\{[^}]*\} 1$/m);
    });

    it('are for 256 readers, and leave no timer behind', async () => {
      await Promise.all(Array.from({ length: 256 }, open));
      const refused = await fetch(`${url}/v1/events`);
      expect(refused.status).to.equal(503);
      expect(refused.headers.get('retry-after')).to.equal('5');
      expect(((await refused.json()) as { code: string }).code).to.equal('unavailable');
      const idle = clock.pendingTimers - 256;
      for (const reader of readers) reader.close();
      await until(() => context.events.readers === 0, { what: 'all readers to be gone' });
      expect(clock.pendingTimers).to.equal(idle);
    });
  });
});
