/**
 * The two ways in which a call passes the stages of its policies, driven alike: through `guard`, and through the interceptor of a gRPC
 * client over a transport that isn't there. Each attempt that begins is one that the test ends; each end has the same word.
 */
import * as grpc from '@grpc/grpc-js';
import { withinContext } from '../../agent/context.js';
import { guard } from '../../agent/guard.js';
import { createInterceptor } from '../../agent/interceptor.js';
import type { Target } from '../../agent/target.js';
import { MeshError } from '../../core/errors.js';
import { serviceError } from './guarded.js';
import { fail, succeed } from './intercepted.js';
import { stubbedCall } from './null-transport.js';
import { TimedCall } from './scripted-wire.js';
import { type Bench, settled } from './targets.js';

export const engines = ['guard', 'the interceptor'] as const;
export type EngineName = (typeof engines)[number];

/** What the handler of a fallback answers. */
const DEGRADED = 'from the handler';

export interface Driven {
  /** How many attempts have begun: of the function, or on the wire. */
  readonly attempts: number;
  /** Undefined: not over. `ok`, `degraded` (by any fallback), the code of a rejection or a limit of ours, or the status of the callee's failure. */
  readonly end: string | undefined;
  /** How long its latest attempt was given when it began, as it is told itself; undefined: without limit. */
  readonly givenMs: number | undefined;
  /** One of its attempts (the latest) answers. */
  succeed(attempt?: number): Promise<void>;
  /** As UNAVAILABLE. */
  fail(attempt?: number): Promise<void>;
}

export interface Engine {
  target(): Target;
  /** `deadlineMs`: of the call that this one is made to answer, from now. */
  call(deadlineMs?: number): Promise<Driven>;
}

export function engineOf(name: EngineName, made: Bench): Engine {
  const { targets, clock } = made;
  targets.handlers.set('last', () => DEGRADED);
  const begin = name === 'guard' ? () => throughGuard(made) : throughInterceptor(made);
  return {
    target: () =>
      name === 'guard' ? targets.get('inventory') : targets.get('inventory', 'shop.v1.Inventory/Get'),
    call: async (deadlineMs) => {
      const answering =
        deadlineMs === undefined
          ? undefined
          : { deadlineAt: clock.now() + deadlineMs, rank: 1, trace: [] as const };
      const driven = answering === undefined ? begin() : withinContext(answering, begin);
      await settled();
      return driven;
    },
  };
}

function throughGuard({ targets, clock }: Bench): Driven {
  let givenMs: number | undefined;
  const runs: { resolve(value: string): void; reject(error: unknown): void }[] = [];
  let end: string | undefined;
  guard(targets, 'inventory', ({ deadline }) => {
    givenMs = deadline === undefined ? undefined : deadline - clock.wallNow();
    return new Promise<string>((resolve, reject) => void runs.push({ resolve, reject }));
  }).then(
    (value) => {
      end = value === DEGRADED ? 'degraded' : 'ok';
    },
    (error: unknown) => {
      const word = error instanceof MeshError ? error.code : grpc.status[(error as { code: number }).code];
      end = word === 'fallback_error' ? 'degraded' : word;
    },
  );
  return {
    get attempts() {
      return runs.length;
    },
    get end() {
      return end;
    },
    get givenMs() {
      return givenMs;
    },
    succeed: (attempt = runs.length) => {
      runs[attempt - 1]?.resolve('done');
      return settled();
    },
    fail: (attempt = runs.length) => {
      runs[attempt - 1]?.reject(serviceError(grpc.status.UNAVAILABLE));
      return settled();
    },
  };
}

function throughInterceptor({ targets, clock }: Bench): () => Driven {
  const interceptor = createInterceptor(targets, 'inventory');
  return () => {
    let givenMs: number | undefined;
    const nextCall = (next: grpc.InterceptorOptions) => {
      givenMs = next.deadline === undefined ? undefined : Number(next.deadline) - clock.wallNow();
      return new TimedCall(next, clock);
    };
    const stub = stubbedCall(targets, interceptor, { nextCall });
    const { client, wires } = stub;
    const one = (attempt: number) => ({ ...stub, wires: wires.slice(0, attempt) });
    return {
      get attempts() {
        return wires.length;
      },
      get end() {
        return client.status && wordOf(client.status);
      },
      get givenMs() {
        return givenMs;
      },
      succeed: (attempt = wires.length) => {
        succeed(one(attempt), 'done');
        return settled();
      },
      fail: (attempt = wires.length) => {
        fail(one(attempt));
        return settled();
      },
    };
  };
}

/** Our own words say first which code of ours it was. */
function wordOf({ code, details, metadata }: grpc.StatusObject): string | undefined {
  if (metadata.get('switchgear-degraded').length > 0) return 'degraded';
  if (code === grpc.status.OK) return 'ok';
  return /^\[(\w+)\]/.exec(details)?.[1] ?? grpc.status[code];
}
