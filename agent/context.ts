/**
 * What a call inherits from the call that this process is answering: its deadline, how much it matters, and its trace. The server
 * interceptor opens a context around a handler; calls made within it read it here. A process that answers no calls through us has
 * no AsyncLocalStorage, and its calls pay nothing for this.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface CallContext {
  /** Monotonic; Infinity: it has none. */
  readonly deadlineAt: number;
  /** Of `core/criticality.ts`: what is called from here is at most as critical. */
  readonly rank: number;
  /** Trace headers as they came, by name. */
  readonly trace: readonly (readonly [string, string | Buffer])[];
  /** It is a retry of somebody above; absent: it isn't. Calls made from here spend of the budget for retries. */
  readonly upstreamRetry?: true;
}

let storage: AsyncLocalStorage<CallContext> | undefined;

/** That of the call being answered; undefined: none, or none through us. */
export function currentContext(): CallContext | undefined {
  return storage === undefined ? undefined : storage.getStore();
}

/** Runs `fn`, and all that follows from it, within this context. */
export function withinContext<T>(context: CallContext, fn: () => T): T {
  storage ??= new AsyncLocalStorage();
  return storage.run(context, fn);
}

/** Whether this process has answered any call through us. */
export function contextsExist(): boolean {
  return storage !== undefined;
}

/** Runs `fn`, and all that follows from it, as if no call were being answered. */
export function withoutContext(fn: () => void): void {
  if (storage === undefined) fn();
  else storage.exit(fn);
}

/** Runs `fn` as if it were called in this context (undefined: in none), wherever that is from. */
export function asIn<T>(context: CallContext | undefined, fn: () => T): T {
  if (storage === undefined || storage.getStore() === context) return fn();
  return context === undefined ? storage.exit(fn) : storage.run(context, fn);
}
