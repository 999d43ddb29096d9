/**
 * What every store does for the circuits of the mesh: accounts of all replicas that run out on its own clock, records by
 * compare-and-set of which exactly one writer wins, hints to all watchers, and its bounds.
 */
import { expect } from 'chai';
import { openStore } from '../../control-plane/store/open.js';
import type { Store } from '../../control-plane/store/store.js';
import type { RecordWrite } from '../../core/coordination/contract.js';
import { walks } from '../support/property.js';
import { contractRedis, dropMesh } from '../support/redis.js';
import { eachStore, record, rejection } from '../support/stores.js';
import { until } from '../support/until.js';
import { VirtualClock } from '../support/virtual-clock.js';

const HOUR = 3_600_000;

function exchange(store: Store, replica: string, accounts: Record<string, string> = {}, ttlMs = HOUR) {
  return store.exchangeHealth({ replica, ttlMs, accounts: new Map(Object.entries(accounts)) });
}

/** `<replica> <circuit> <body>` of each account, and `<circuit> <seq> <body>` of each record, sorted. */
async function everything(store: Store): Promise<{ accounts: string[]; records: string[] }> {
  const { accounts, records } = await exchange(store, 'reader');
  return {
    accounts: accounts.map(({ replica, circuit, body }) => `${replica} ${circuit} ${body}`).sort(),
    records: records.map(({ circuit, seq, body }) => `${circuit} ${seq} ${body}`).sort(),
  };
}

const recordOf = (circuit: string, expected: number, seq: number, body = `at ${seq}`): RecordWrite => ({
  ...{ circuit, expected, seq, body },
});

const callees = (count: number) => Array.from({ length: count }, (_, i) => `callee-${i}`);

eachStore('accounts of circuits', ({ store, place, backend }) => {
  it('are answered to the exchange that brings them, and to all others, also of circuits only one has', async () => {
    const second = backend.shared ? await place().open() : store();
    const first = await exchange(store(), 'a', { 'inventory|p': 'of a', 'inventory|p@z1|@': 'ü"\n\0 1' });
    expect(first.accounts).to.have.length(2);
    const answer = await exchange(second, 'b', { 'mail|p|x.Y/Z': 'of b' });
    expect(answer.records).to.deep.equal([]);
    expect(answer.accounts).to.have.length(3);
    expect((await everything(store())).accounts).to.deep.equal([
      'a inventory|p of a',
      'a inventory|p@z1|@ ü"\n\0 1',
      'b mail|p|x.Y/Z of b',
    ]);
  });

  it('are replaced by circuit and replica, and stay where they are not named again', async () => {
    await exchange(store(), 'a', { one: '1', two: '1' });
    await exchange(store(), 'b', { one: '1' });
    await exchange(store(), 'a', { one: '2' });
    expect((await everything(store())).accounts).to.deep.equal(['a one 2', 'a two 1', 'b one 1']);
  });

  it('run out on the clock of the store, each by itself', async () => {
    await exchange(store(), 'a', { long: '1', short: '1' });
    await exchange(store(), 'a', { short: '2', 'other|p': '1' }, 20);
    await until(
      async () => {
        place().tick();
        return (await everything(store())).accounts.length === 1;
      },
      { what: 'the short ones to run out' },
    );
    expect((await everything(store())).accounts).to.deep.equal(['a long 1']);
  });

  it('of a thousand circuits come back whole, from every shard', async () => {
    const accounts = Object.fromEntries(callees(1000).map((callee) => [`${callee}|p`, `body of ${callee}`]));
    const { accounts: answer } = await exchange(store(), 'a', accounts);
    expect(Object.fromEntries(answer.map(({ circuit, body }) => [circuit, body]))).to.deep.equal(accounts);
    expect((await exchange(store(), 'b')).accounts).to.have.length(1000);
  });

  it('of one callee, thousands at once, go in and out', async () => {
    const accounts = Object.fromEntries(callees(2500).map((method) => [`inventory|p|${method}`, '1']));
    expect((await exchange(store(), 'a', accounts, 20)).accounts).to.have.length(2500);
    await until(
      async () => {
        place().tick();
        return (await exchange(store(), 'b')).accounts.length === 0;
      },
      { what: 'all to run out' },
    );
  });

  it('that are too large, badly named or too many are left out; the others go on', async () => {
    const { accounts } = await exchange(store(), 'a', {
      good: '1',
      large: 'ü'.repeat(8193),
      largest: 'ü'.repeat(8192),
      '': '1',
      'two\nlines': '1',
      '\ud800': '1',
      ['x'.repeat(1025)]: '1',
    });
    expect(accounts.map(({ circuit }) => circuit).sort()).to.deep.equal(['good', 'largest']);
    const many = Object.fromEntries(callees(10_050).map((callee) => [callee, '1']));
    const answer = await exchange(store(), 'b', many);
    expect(answer.accounts.filter(({ replica }) => replica === 'b')).to.have.length(10_000);
  });

  it('of a replica without a proper name, or for no proper time, are refused', async () => {
    for (const [replica, ttlMs] of [
      ['', 1000],
      ['a\nb', 1000],
      ['x'.repeat(201), 1000],
      ['a', 0],
      ['a', Number.NaN],
      ['a', 86_400_001],
    ] as const)
      expect(await rejection(exchange(store(), replica, { one: '1' }, ttlMs))).to.include({
        code: 'invalid_request',
      });
    expect((await everything(store())).accounts).to.deep.equal([]);
  });

  it('of one mesh are not seen in another', async () => {
    await exchange(store(), 'a', { one: '1' });
    const other = await place().open('other');
    expect((await everything(other)).accounts).to.deep.equal([]);
  });
});

eachStore('a record of a circuit', ({ store, place, backend }) => {
  it('is written where nothing is, and then only over what its writer expects', async () => {
    const put = (write: RecordWrite) => store().putRecord(write, HOUR);
    expect(await put(recordOf('c|p', 3, 4))).to.deep.equal({ circuit: 'c|p', seq: 0, body: '' });
    expect(await put(recordOf('c|p', 0, 7))).to.equal(undefined);
    expect(await put(recordOf('c|p', 0, 8))).to.deep.equal({ circuit: 'c|p', seq: 7, body: 'at 7' });
    expect(await put(recordOf('c|p', 7, 9, 'ü"\n\0 x'))).to.equal(undefined);
    expect(await put(recordOf('c|p@z', 0, 1))).to.equal(undefined);
    expect(await put(recordOf('c|p', 7, 10))).to.deep.equal({ circuit: 'c|p', seq: 9, body: 'ü"\n\0 x' });
    expect((await everything(store())).records).to.deep.equal(['c|p 9 ü"\n\0 x', 'c|p@z 1 at 1']);
  });

  it('is seen by all, also by a replica that has no account of it', async () => {
    const second = backend.shared ? await place().open() : store();
    await exchange(second, 'b', { 'other|p': '1' });
    for (const callee of callees(100)) await store().putRecord(recordOf(`${callee}|p`, 0, 1), HOUR);
    expect((await exchange(second, 'b')).records).to.have.length(100);
  });

  it('repeated because its answer was lost is written once and succeeds, until another has gone on from it', async () => {
    const write = recordOf('c|p', 0, 1);
    expect(await store().putRecord(write, HOUR)).to.equal(undefined);
    expect(await store().putRecord(write, HOUR)).to.equal(undefined);
    expect((await everything(store())).records).to.deep.equal(['c|p 1 at 1']);
    expect(await store().putRecord(recordOf('c|p', 0, 1, 'of another'), HOUR)).to.include({
      seq: 1,
      body: 'at 1',
    });
    await store().putRecord(recordOf('c|p', 1, 2), HOUR);
    expect(await store().putRecord(write, HOUR)).to.deep.equal({ circuit: 'c|p', seq: 2, body: 'at 2' });
  });

  it('that many write at once is won by exactly one, at each step', async () => {
    const second = backend.shared ? await place().open() : store();
    for (let seq = 0; seq < 10; seq += 1) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          (i % 2 === 0 ? store() : second).putRecord(recordOf('c|p', seq, seq + 1, `of ${i}`), HOUR),
        ),
      );
      const winners = answers.flatMap((present, i) => (present === undefined ? [i] : []));
      expect(winners).to.have.length(1);
      for (const present of answers)
        if (present) expect(present).to.include({ seq: seq + 1, body: `of ${winners[0]}` });
    }
  });

  it('runs out on the clock of the store, unless it is written again; then nothing is expected', async () => {
    await store().putRecord(recordOf('gone|p', 0, 5), 20);
    await store().putRecord(recordOf('kept|p', 0, 5), 20);
    await store().putRecord(recordOf('kept|p', 0, 5), HOUR);
    await until(
      async () => {
        place().tick();
        const present = await store().putRecord(recordOf('gone|p', 4, 6), HOUR);
        return present?.seq === 0;
      },
      { what: 'the end of the record' },
    );
    expect((await everything(store())).records).to.deep.equal(['kept|p 5 at 5']);
    expect(await store().putRecord(recordOf('gone|p', 0, 1), HOUR)).to.equal(undefined);
  });

  it('that no store may hold is refused, and says why', async () => {
    for (const [write, ttlMs, why] of [
      [recordOf('c|p', 0, 1, 'x'.repeat(16_385)), HOUR, '16385 bytes, 16384 are allowed'],
      [recordOf('a\nb', 0, 1), HOUR, 'one line'],
      [recordOf('', 0, 1), HOUR, 'one line'],
      [recordOf('c|p', 1, 1), HOUR, 'greater than the expected one'],
      [recordOf('c|p', -1, 1), HOUR, 'greater than the expected one'],
      [recordOf('c|p', 0.5, 1), HOUR, 'greater than the expected one'],
      [recordOf('c|p', 0, 2 ** 53), HOUR, 'greater than the expected one'],
      [recordOf('c|p', 0, 1), 0, 'time to live'],
    ] as const) {
      const error = await rejection(store().putRecord(write, ttlMs));
      expect(error).to.include({ code: 'invalid_request' });
      expect(String(error)).to.contain(why);
    }
    expect((await everything(store())).records).to.deep.equal([]);
  });

  if (!backend.durable) return;

  it('is there again after closing: its number must not begin anew', async () => {
    await store().putRecord(recordOf('c|p', 0, 41), HOUR);
    await store().close();
    const again = await place().open();
    expect((await everything(again)).records).to.deep.equal(['c|p 41 at 41']);
    expect(await again.putRecord(recordOf('c|p', 41, 42), HOUR)).to.equal(undefined);
  });
});

eachStore('a hint that circuits changed', ({ store, place, backend }) => {
  it('comes to every watch, once, in order with the rest', async () => {
    const second = backend.shared ? await place().open() : store();
    const recorders = [await record(store()), await record(second)];
    await store().hintCircuits(['a|p', 'b|p@z"ü', 'a|p']);
    await store().learn('shop', ['mail']);
    await store().hintCircuits([]);
    for (const recorder of recorders) {
      await until(() => recorder.events.length === 2, { what: 'both events' });
      expect(recorder.events).to.deep.equal([
        { kind: 'circuits', circuits: ['a|p', 'b|p@z"ü'] },
        { kind: 'interest', service: 'shop', callees: ['mail'] },
      ]);
    }
  });

  it('names at most a thousand, and nothing that is no id', async () => {
    const recorder = await record(store());
    await store().hintCircuits(['', 'two\nlines', '\ud800', ...callees(2000)]);
    await until(() => recorder.events.length === 1, { what: 'the event' });
    expect(recorder.events).to.deep.equal([{ kind: 'circuits', circuits: callees(997) }]);
  });
});

eachStore('a store that is closed', ({ store }) => {
  it('refuses accounts, records and hints', async () => {
    await store().close();
    for (const attempt of [
      () => exchange(store(), 'a', { one: '1' }),
      () => store().putRecord(recordOf('c|p', 0, 1), HOUR),
      () => store().hintCircuits(['c|p']),
    ])
      expect(await rejection(attempt())).to.include({ code: 'store_unavailable' });
  });
});

eachStore('accounts and records', ({ store, place, backend }) => {
  walks('agree after any steps with two lists that are searched from end to end', 3, async (random) => {
    const others = backend.shared ? [store(), await place().open()] : [store()];
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random.next() * list.length)] as T;
    const accounts: { replica: string; circuit: string; body: string }[] = [];
    const records: { circuit: string; seq: number; body: string }[] = [];
    const circuits = ['a|p', 'a|p@z', 'b|p', '__proto__', 'constructor|p|x/y', '*|p'];
    for (let step = 0; step < 150; step += 1) {
      const circuit = pick(circuits);
      const body = pick(['', '0', '1 2 3', 'ü\n']);
      if (random.next() < 0.5) {
        const replica = pick(['r1', 'r2', '__proto__']);
        await pick(others).exchangeHealth({ replica, ttlMs: HOUR, accounts: new Map([[circuit, body]]) });
        const old = accounts.findIndex((one) => one.replica === replica && one.circuit === circuit);
        if (old >= 0) accounts.splice(old, 1);
        accounts.push({ replica, circuit, body });
      } else {
        const expected = Math.floor(random.next() * 4);
        const seq = expected + 1 + Math.floor(random.next() * 2);
        const there = records.find((one) => one.circuit === circuit) ?? { circuit, seq: 0, body: '' };
        const present = await pick(others).putRecord({ circuit, expected, seq, body }, HOUR);
        if (there.seq === expected || (there.seq === seq && there.body === body)) {
          expect(present).to.equal(undefined);
          if (there.seq > 0) records.splice(records.indexOf(there), 1);
          records.push({ circuit, seq, body });
        } else expect(present).to.deep.equal(there);
      }
    }
    for (const one of others) {
      const answer = await exchange(one, 'reader');
      expect(answer.accounts).to.have.deep.members(accounts);
      expect(answer.records).to.have.deep.members(records);
    }
  });
});

describe('the log of what a store leaves out', () => {
  it('names each account with the bound it breaks, once', async () => {
    const said: string[] = [];
    const quiet = () => {};
    const logger = {
      ...{ debug: quiet, info: quiet, warn: quiet },
      error: (fields: object) => said.push(JSON.stringify(fields)),
    };
    const url = await contractRedis();
    for (const where of ['memory', url]) {
      said.length = 0;
      const clock = where === 'memory' ? { clock: new VirtualClock() } : {};
      const store = await openStore(where, { mesh: 'left-out', replica: 'r', logger, ...clock });
      const accounts = {
        large: 'x'.repeat(16_385),
        ...Object.fromEntries(callees(10_001).map((id) => [id, ''])),
      };
      for (let i = 0; i < 3; i += 1) await exchange(store, 'a', accounts);
      expect(said).to.have.length(2);
      expect(said[0]).to.contain('large').and.contain('it has 16385 bytes, 16384 are allowed');
      expect(said[1]).to.contain('1 accounts beyond the 10000 of one exchange are left out');
      await store.close();
    }
    await dropMesh(url, 'left-out');
  });
});
