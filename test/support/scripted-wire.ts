/**
 * A transport that answers by a script, on the virtual clock: each attempt as its line says, or with DEADLINE_EXCEEDED once its
 * deadline is over, as grpc-js does. What came of a call is what was seen on the wire and what its client was told, with the time
 * of each from the call's beginning.
 */
import * as grpc from '@grpc/grpc-js';
import type { Timer } from '../../core/clock.js';
import type { Intercepted } from './intercepted.js';
import { NullCall, type StubbedCall, type StubOptions, stubbedCall } from './null-transport.js';
import { settled } from './targets.js';
import type { VirtualClock } from './virtual-clock.js';

/** How one attempt is answered. */
export interface Answer {
  readonly status: keyof typeof grpc.status;
  /** From its start; 0. Infinity: never. */
  readonly afterMs?: number;
  /** When its response headers come, where they come before that: from its start. */
  readonly headersAfterMs?: number;
  /** Values of `grpc-retry-pushback-ms`. */
  readonly pushback?: readonly string[];
  /** The callee shed it by a policy of its own. */
  readonly shed?: true;
  readonly details?: string;
}

export const silence: Answer = { status: 'OK', afterMs: Number.POSITIVE_INFINITY };

export interface ScriptOptions extends StubOptions {
  /** The caller's own deadline, from now. */
  readonly deadlineMs?: number;
  /** Instead of that of `inventory`. */
  readonly interceptor?: grpc.Interceptor;
}

/** What is seen of a call; goes on as the clock does. */
export interface Course {
  /** When each attempt reached the wire. */
  readonly at: number[];
  /** What each said of those before it. */
  readonly previous: (string | undefined)[];
  /** When the deadline on the wire of each is over. */
  readonly deadlines: (number | undefined)[];
  /** Which of them were cancelled, from 0. */
  readonly cancelled: number[];
  /** The status the client was told, each time that it was. */
  readonly told: string[];
  readonly toldAt: number[];
  /** Of that status. */
  readonly details: string[];
  readonly call: StubbedCall['call'];
}

/** A call that its own deadline ends, and that has one status, as in grpc-js. */
export class TimedCall extends NullCall {
  readonly #timers: Timer[] = [];
  #over = false;

  constructor(
    options: grpc.InterceptorOptions,
    protected readonly clock: VirtualClock,
  ) {
    super(options);
  }

  override start(metadata: grpc.Metadata, listener?: Partial<grpc.InterceptingListener>): void {
    super.start(metadata, listener);
    const { deadline } = this.options;
    if (deadline !== undefined)
      this.after(Number(deadline) - this.clock.wallNow(), () => this.end(grpc.status.DEADLINE_EXCEEDED));
  }

  override cancelWithStatus(code: grpc.status, details: string): void {
    this.#lift();
    super.cancelWithStatus(code, details);
  }

  override end(code: grpc.status, details?: string, metadata?: grpc.Metadata): void {
    if (this.#over) return;
    this.#over = true;
    this.#lift();
    super.end(code, details, metadata);
  }

  protected after(ms: number, fn: () => void): void {
    if (ms !== Number.POSITIVE_INFINITY) this.#timers.push(this.clock.after(ms, fn));
  }

  #lift(): void {
    for (const timer of this.#timers.splice(0)) timer.cancel();
  }
}

class ScriptedCall extends TimedCall {
  readonly #answer: Answer;

  constructor(options: grpc.InterceptorOptions, clock: VirtualClock, answer: Answer) {
    super(options, clock);
    this.#answer = answer;
  }

  override start(metadata: grpc.Metadata, listener?: Partial<grpc.InterceptingListener>): void {
    const { afterMs = 0, headersAfterMs = Number.POSITIVE_INFINITY } = this.#answer;
    this.after(headersAfterMs, () => this.listener?.onReceiveMetadata?.(new grpc.Metadata()));
    this.after(afterMs, () => this.#reply());
    super.start(metadata, listener);
  }

  #reply(): void {
    const { status, pushback = [], shed, details } = this.#answer;
    const ok = status === 'OK';
    if (ok) this.listener?.onReceiveMetadata?.(new grpc.Metadata());
    if (ok || !this.options.method_definition.responseStream) this.message(ok ? 'reply' : null);
    const metadata = new grpc.Metadata();
    for (const value of pushback) metadata.add('grpc-retry-pushback-ms', value);
    if (shed) metadata.set('switchgear-reject', 'overloaded');
    this.end(grpc.status[status], details, metadata);
  }
}

/** A call whose attempts are answered line by line; the last line holds for all that follow. */
export function scripted(made: Intercepted, script: readonly Answer[], options: ScriptOptions = {}): Course {
  const { clock, targets } = made;
  const begunAt = clock.now();
  const begunOnWall = clock.wallNow();
  const since = () => clock.now() - begunAt;
  const deadline = options.deadlineMs === undefined ? {} : { deadline: begunOnWall + options.deadlineMs };
  const seen: Omit<Course, 'call'> = {
    at: [],
    previous: [],
    deadlines: [],
    cancelled: [],
    told: [],
    toldAt: [],
    details: [],
  };
  const nextCall = (next: grpc.InterceptorOptions) => {
    const number = seen.at.length;
    const wire = new ScriptedCall(next, clock, script[Math.min(number, script.length - 1)] ?? silence);
    const { start, cancelWithStatus } = wire;
    seen.at.push(since());
    seen.deadlines.push(next.deadline === undefined ? undefined : Number(next.deadline) - begunOnWall);
    wire.start = (metadata, listener) => {
      seen.previous.push(metadata.get('grpc-previous-rpc-attempts').map(String)[0]);
      start.call(wire, metadata, listener);
    };
    wire.cancelWithStatus = (code, details) => {
      seen.cancelled.push(number);
      cancelWithStatus.call(wire, code, details);
    };
    return wire;
  };
  const { call, client } = stubbedCall(targets, options.interceptor ?? made.interceptor, {
    ...options,
    ...deadline,
    nextCall,
    start: false,
  });
  const { onReceiveStatus } = client.listener;
  client.listener.onReceiveStatus = (status) => {
    seen.told.push(grpc.status[status.code]);
    seen.toldAt.push(since());
    seen.details.push(status.details);
    onReceiveStatus?.(status);
  };
  call.start(options.metadata ?? new grpc.Metadata(), client.listener);
  call.sendMessage('request');
  if (!options.requestStream) call.halfClose();
  return Object.assign(seen, { call });
}

/** The same, and everything that follows within so long. */
export async function course(
  made: Intercepted,
  script: readonly Answer[],
  options: ScriptOptions & { readonly withinMs?: number } = {},
): Promise<Course> {
  const seen = scripted(made, script, options);
  await settled();
  made.clock.advance(options.withinMs ?? 60_000);
  await settled();
  return seen;
}
