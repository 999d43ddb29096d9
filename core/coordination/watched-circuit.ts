/**
 * What a replica knows of one circuit: what its own agents report, the other replicas' accounts, the records (of all agents, and of
 * single zones) with their ages, and what probes came to. It holds; deciding is `evaluation.ts`'s.
 *
 * Bounds: 64 replicas' accounts, 16 zones, 10,000 agents that turned bad, an outcome for each permit.
 */
import type { CircuitSpec } from '../policy/model.js';
import { type Account, decodeAccount, encodeAccount } from './account.js';
import type { RecordWrite } from './contract.js';
import type { ClusterRecord, Heard, ProbeOutcome, View } from './model.js';
import { pool } from './pool.js';
import { faultOf } from './thresholds.js';
import { CircuitWindow } from './window.js';

const ACCOUNTS_MAX = 64;
const ZONES_MAX = 16;
const BAD_MAX = 10_000;
/** Without a new account of it for so long, a replica is not there any more. */
const ACCOUNT_MS = 5_000;
/** An account that the store has not answered for so long has run out there. */
const DELIVERED_MS = 10_000;
/** Two reports and a bit: an agent without a bad one for so long was well in between. */
const BAD_MS = 2_500;
/** A closed record is remembered for so long, as the store does. */
const KEPT_MS = 3_600_000;
/** And a circuit that never had one. */
const UNHEARD_MS = 60_000;
/** A write that nobody has answered for so long may be tried anew: the comparison tells whether it was done. */
const ANSWER_MS = 3_000;

/** A record, or what is in its place, as this replica knows it. */
export interface Held {
  /** Undefined: there is none, or none that can be read. */
  readonly record: ClusterRecord | undefined;
  /** What the store's comparison expects. */
  readonly seq: number;
  /** When it was first seen: its age counts on from there. */
  readonly seenAt: number;
}

/** A write that somebody has to make. */
export interface Wanted {
  readonly zone: string;
  /** What the store's comparison expects. */
  readonly expected: number;
  readonly record: ClusterRecord;
}

/** Another replica's account. One that has stood still for too long stays, so that it isn't taken for a new one, and counts for nothing. */
interface Learnt {
  readonly account: Account;
  readonly body: string;
  readonly at: number;
  deliveredAt: number;
}

/** What a report says of its agent: over the threshold by itself, and whether it was before. */
export type Turned = 'well' | 'bad' | 'still-bad';

interface Sent {
  readonly write: RecordWrite;
  readonly at: number;
}

const none: ReadonlyMap<number, ProbeOutcome> = new Map();

/** All zones: the circuit itself. */
export const ALL = '';

export class WatchedCircuit {
  /** By zone; ALL is for all. */
  readonly records = new Map<string, Held>();
  /** Turned bad, or a probe has ended: to be evaluated at once. */
  flagged = false;
  /** Turned bad: to be published at once. */
  unpublished = false;
  /** The last report that any replica has had. */
  heardAt: number;
  /** When it was last looked at between two ticks. */
  lookedAt = Number.NEGATIVE_INFINITY;
  /** What that look said: far from opening. */
  calm = false;
  /** How many agents of this replica it was about, and how many have turned bad since. */
  lookedOver = 0;
  turnedBad = 0;
  /** The greatest epoch of records that are not there any more: agents have heard of it. */
  lostEpoch = 0;
  /** Since when somebody should have written, by zone. */
  readonly #wantedSince = new Map<string, number>();
  /** What probes came to, by zone and permit: two zones may be in the same epoch. */
  readonly #outcomes = new Map<string, Map<number, ProbeOutcome>>();
  readonly #sent = new Map<string, Sent>();
  readonly #heardAtZone = new Map<string, number>();
  readonly #badAt = new Map<string, number>();
  readonly #accounts = new Map<string, Learnt>();
  #window: CircuitWindow | undefined;
  #windowMs = 0;
  /** The epoch with which the window began anew: accounts from before are of another time. */
  #windowEpoch = 0;
  #turn = 0;
  #ownHeardAt = Number.NEGATIVE_INFINITY;
  #pooled: { readonly view: View; readonly own: View; readonly at: number } | undefined;

  constructor(
    /** Without a zone. */
    readonly id: string,
    now: number,
  ) {
    this.heardAt = now;
  }

  get callee(): string {
    return this.id.slice(0, this.id.indexOf('|'));
  }

  /** The greatest epoch of any of its records: they form one line, since one agent may hear of two of them. */
  get epoch(): number {
    let greatest = 0;
    for (const { record } of this.records.values()) greatest = Math.max(greatest, record?.epoch ?? 0);
    return greatest;
  }

  recordOf(zone: string): ClusterRecord | undefined {
    return this.records.get(zone)?.record;
  }

  /** Of the record that rules for agents of this zone: that of all goes before; of two closed ones, what closed last. */
  rulingZone(zone: string): string {
    const whole = this.recordOf(ALL);
    const its = this.recordOf(zone);
    if (!its || (whole && whole.state !== 'closed')) return ALL;
    return its.state !== 'closed' || its.epoch > (whole?.epoch ?? 0) ? zone : ALL;
  }

  ageMs(zone: string, now: number): number {
    const held = this.records.get(zone);
    return held?.record ? held.record.ageMs + Math.max(0, now - held.seenAt) : 0;
  }

  heard(heard: Heard, spec: CircuitSpec, now: number): Turned {
    this.#windowFor(spec).record(heard, now);
    this.#pooled = undefined;
    if (heard.calls > 0 || heard.blocked > 0) {
      this.heardAt = now;
      this.#ownHeardAt = now;
      this.#hearZone(heard.zone, now);
    }
    if (faultOf(spec, heard) === undefined) return 'well';
    const before = this.#badAt.get(heard.agent);
    if (before === undefined && this.#badAt.size >= BAD_MAX) return 'still-bad';
    this.#badAt.set(heard.agent, now);
    return before === undefined || now - before > BAD_MS ? 'bad' : 'still-bad';
  }

  /** Its permits are lost: whoever comes back under its name may be another process, which knows nothing of those that were used. */
  left(agent: string): void {
    this.#window?.left(agent);
    this.#badAt.delete(agent);
    this.#pooled = undefined;
    for (const [zone, { record }] of this.records)
      for (const { permit, agent: holder, outcome } of record?.permits ?? [])
        if (holder === agent && outcome === undefined && !this.outcomesOf(zone).has(permit))
          this.#outcomes.set(zone, new Map(this.outcomesOf(zone)).set(permit, 'lost'));
  }

  /** False: no permit that anybody waits for. */
  probed(agent: string, permit: number, ok: boolean): boolean {
    for (const [zone, { record }] of this.records) {
      const out = record?.permits.find((each) => each.permit === permit && each.agent === agent);
      if (!out || out.outcome !== undefined || this.outcomesOf(zone).has(permit)) continue;
      this.#outcomes.set(zone, new Map(this.outcomesOf(zone)).set(permit, ok ? 'ok' : 'failed'));
      return true;
    }
    return false;
  }

  /** Of permits whose end the record doesn't know yet. */
  outcomesOf(zone: string): ReadonlyMap<number, ProbeOutcome> {
    return this.#outcomes.get(zone) ?? none;
  }

  get hasOutcomes(): boolean {
    return this.#outcomes.size > 0;
  }

  /** For how long no agent of this zone has reported, as far as this replica was listening. */
  silentMs(zone: string, listeningSince: number, now: number): number {
    const heardAt = zone === ALL ? this.heardAt : (this.#heardAtZone.get(zone) ?? Number.NEGATIVE_INFINITY);
    return Math.max(0, now - Math.max(heardAt, listeningSince));
  }

  /** Nothing of it has been reported for as long as its window, here or elsewhere. */
  idle(now: number): boolean {
    for (const [replica, { deliveredAt }] of this.#accounts)
      if (now - deliveredAt > DELIVERED_MS) this.#accounts.delete(replica);
    for (const { at } of this.#accounts.values()) if (now - at <= ACCOUNT_MS) return false;
    return this.#window?.idle(now) ?? true;
  }

  /** Nothing can follow from it by itself. */
  isAtRest(now: number): boolean {
    for (const { record } of this.records.values())
      if (record && (record.state !== 'closed' || record.ejections.length > 0)) return false;
    return this.idle(now);
  }

  /** Undefined: this replica's agents have nothing to say. */
  account(spec: CircuitSpec, now: number): string | undefined {
    const window = this.#windowFor(spec);
    if (window.idle(now)) return undefined;
    const quietZonesMs = new Map([...this.#heardAtZone].map(([zone, at]) => [zone, now - at]));
    return encodeAccount({
      turn: ++this.#turn,
      quietMs: Math.max(0, now - this.#ownHeardAt),
      epoch: this.epoch,
      quietZonesMs,
      view: window.view(spec, now),
    });
  }

  /** Another replica's. */
  learn(replica: string, body: string, now: number): void {
    const before = this.#accounts.get(replica);
    if (before) before.deliveredAt = now;
    if (before?.body === body) return;
    const account = decodeAccount(body);
    if (!account || (!before && this.#accounts.size >= ACCOUNTS_MAX)) return;
    this.#accounts.set(replica, { account, body, at: now, deliveredAt: now });
    this.#pooled = undefined;
    this.heardAt = Math.max(this.heardAt, now - account.quietMs);
    for (const [zone, quietMs] of account.quietZonesMs) this.#hearZone(zone, now - quietMs);
  }

  /** No call of any replica's agents failed or was slow within the window. */
  isSpotless(spec: CircuitSpec, now: number): boolean {
    if (!this.#windowFor(spec).isSpotless(now)) return false;
    for (const { account, at } of this.#accounts.values()) {
      if (now - at > ACCOUNT_MS || account.epoch < this.#windowEpoch) continue;
      const whole = account.view.spans.at(-1);
      if (whole && (whole.failed > 0 || whole.slow > 0)) return false;
    }
    return true;
  }

  /** What all replicas' agents say. */
  view(spec: CircuitSpec, now: number): View {
    if (this.#pooled?.at === now) return this.#pooled.view;
    const own = this.#windowFor(spec).view(spec, now);
    const views = [own];
    for (const { account, at } of this.#accounts.values())
      if (now - at <= ACCOUNT_MS && account.epoch >= this.#windowEpoch) views.push(account.view);
    const view = pool(views);
    this.#pooled = { view, own, at: now };
    return view;
  }

  /** What this replica's agents say. */
  ownView(spec: CircuitSpec, now: number): View {
    if (this.#pooled?.at === now) return this.#pooled.own;
    return this.#windowFor(spec).view(spec, now);
  }

  /** What is now in the store, as far as is known. */
  hold(zone: string, held: Held): void {
    const before = this.recordOf(zone);
    if (!this.records.has(zone) && !this.#hasRoom()) return;
    if (before && before.epoch > (held.record?.epoch ?? 0))
      this.lostEpoch = Math.max(this.lostEpoch, before.epoch);
    this.records.set(zone, held);
    if (!this.#heardAtZone.has(zone)) this.#hearZone(zone, held.seenAt);
    const sent = this.#sent.get(zone);
    if (sent && held.seq > sent.write.expected) this.#sent.delete(zone);
    const { record } = held;
    this.#settle(zone, record);
    if (record && before && record.epoch !== before.epoch && isBack(before, record))
      this.#restart(record.epoch);
  }

  /** Of these writes, those that this replica has to make: its turn has come, or it has waited for others long enough. */
  due(wanted: readonly Wanted[], patienceMs: number, now: number): readonly Wanted[] {
    for (const zone of [...this.#wantedSince.keys()])
      if (!wanted.some((each) => each.zone === zone)) this.#wantedSince.delete(zone);
    return wanted.filter(({ zone }) => {
      const since = this.#wantedSince.get(zone) ?? now;
      this.#wantedSince.set(zone, since);
      return now - since >= patienceMs;
    });
  }

  /** Nobody calls, and nothing is remembered that an agent could still have heard of. */
  isOver(now: number): boolean {
    if (!this.idle(now)) return false;
    for (const [zone, { record }] of this.records)
      if (record?.state !== 'closed' || record.override !== undefined || this.ageMs(zone, now) < KEPT_MS)
        return false;
    return this.records.size > 0 || now - this.heardAt > UNHEARD_MS;
  }

  /** A write is on its way and may still be answered. */
  waits(zone: string, now: number): boolean {
    const sent = this.#sent.get(zone);
    return sent !== undefined && now - sent.at < ANSWER_MS;
  }

  sending(zone: string, write: RecordWrite, now: number): void {
    this.#sent.set(zone, { write, at: now });
  }

  /** When this write was decided; undefined: it isn't waited for any more. */
  answered(zone: string, write: RecordWrite): number | undefined {
    const sent = this.#sent.get(zone);
    if (sent?.write.seq !== write.seq || sent.write.body !== write.body) return undefined;
    this.#sent.delete(zone);
    return sent.at;
  }

  #hasRoom(): boolean {
    if (this.records.size < ZONES_MAX) return true;
    for (const [zone, { record }] of this.records)
      if (zone !== ALL && record?.state === 'closed') return this.records.delete(zone);
    return false;
  }

  /** What the record knows now, or doesn't wait for any more, is done with. */
  #settle(zone: string, record: ClusterRecord | undefined): void {
    const left = new Map<number, ProbeOutcome>();
    for (const { permit, outcome } of record?.permits ?? []) {
      const heard = this.outcomesOf(zone).get(permit);
      if (outcome === undefined && heard !== undefined) left.set(permit, heard);
    }
    if (left.size > 0) this.#outcomes.set(zone, left);
    else this.#outcomes.delete(zone);
  }

  /** On its way back it is judged by what comes from now on. */
  #restart(epoch: number): void {
    this.#window = undefined;
    this.#windowEpoch = epoch;
    this.#badAt.clear();
    this.#pooled = undefined;
  }

  #hearZone(zone: string, at: number): void {
    if (zone === '') return;
    const before = this.#heardAtZone.get(zone);
    if (before === undefined && this.#heardAtZone.size >= ZONES_MAX) return;
    this.#heardAtZone.set(zone, Math.max(before ?? at, at));
  }

  #windowFor({ cluster }: CircuitSpec): CircuitWindow {
    if (!this.#window || this.#windowMs !== cluster.windowMs) {
      this.#window = new CircuitWindow(cluster.windowMs);
      this.#windowMs = cluster.windowMs;
    }
    return this.#window;
  }
}

/** From turning calls away to letting them through. */
function isBack(before: ClusterRecord, after: ClusterRecord): boolean {
  const shut = before.state === 'open' || before.state === 'half-open';
  return shut && (after.state === 'ramping' || after.state === 'closed');
}
