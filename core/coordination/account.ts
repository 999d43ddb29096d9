/**
 * One replica's account of a circuit as the store holds it for the others: a line of its own, and the view (`blob.ts`) below. The
 * line says how long ago the last report came, of all agents and of single zones, and which epoch the replica knew: failures from
 * before a circuit began to come back must not be held against it.
 */
import { decodeView, encodeView } from './blob.js';
import type { View } from './model.js';

const BODY_MAX = 16_384;
const ZONES_MAX = 16;

export interface Account {
  /** Grows with each one that the replica writes: one that stands still is of a replica that does. */
  readonly turn: number;
  /** Since the last report. */
  readonly quietMs: number;
  readonly epoch: number;
  readonly quietZonesMs: ReadonlyMap<string, number>;
  readonly view: View;
}

export function encodeAccount({ turn, quietMs, epoch, quietZonesMs, view }: Account): string {
  const zones = [...quietZonesMs].slice(0, ZONES_MAX).map(([zone, ms]) => [zone, Math.round(ms)]);
  return `${JSON.stringify([turn, Math.round(quietMs), epoch, zones])}\n${encodeView(view)}`;
}

/** Undefined: this is no account. */
export function decodeAccount(body: string): Account | undefined {
  const end = body.indexOf('\n');
  if (end < 0 || body.length > BODY_MAX) return undefined;
  const line = parsed(body.slice(0, end));
  if (!Array.isArray(line)) return undefined;
  const [turn, quietMs, epoch, zones] = line as readonly unknown[];
  if (!isCount(turn) || !isCount(quietMs) || !isCount(epoch) || !Array.isArray(zones)) return undefined;
  const quietZonesMs = new Map<string, number>();
  for (const each of zones.slice(0, ZONES_MAX) as readonly unknown[]) {
    const [zone, ms] = Array.isArray(each) ? (each as readonly unknown[]) : [];
    if (typeof zone === 'string' && isCount(ms)) quietZonesMs.set(zone, ms);
  }
  const view = decodeView(body.slice(end + 1));
  return view && { turn, quietMs, epoch, quietZonesMs, view };
}

function isCount(read: unknown): read is number {
  return Number.isSafeInteger(read) && (read as number) >= 0;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
