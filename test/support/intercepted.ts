/**
 * gRPC calls through the interceptor with everything around them replaced: policies that the test gives, a transport that isn't
 * there, a clock that the test moves; and the look at what must be left over in the end, which is nothing.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { createInterceptor, type InterceptorSettings } from '../../agent/interceptor.js';
import type { Target } from '../../agent/target.js';
import type { Effective } from '../../core/policy/model.js';
import { type StubbedCall, type StubOptions, stubbedCall } from './null-transport.js';
import { type Bench, bench } from './targets.js';

export interface Intercepted extends Bench {
  readonly interceptor: grpc.Interceptor;
  target(): Target;
  make(options?: StubOptions): StubbedCall;
  /** Closes the targets; fails if a permit, a slot of a budget or of a fallback, or a timer is out. */
  expectNothingLeft(): void;
}

export function intercepted(effective: Effective, settings: InterceptorSettings = {}): Intercepted {
  const made = bench(effective);
  const interceptor = createInterceptor(made.targets, 'inventory', settings);
  const target = () => made.targets.get('inventory', 'shop.v1.Inventory/Get');
  return Object.assign(made, {
    interceptor,
    target,
    make: (options: StubOptions = {}) => stubbedCall(made.targets, interceptor, options),
    expectNothingLeft: () => {
      const { budget, slots } = target().surround ?? {};
      expect(made.targets.permitsOut, 'permits').to.equal(0);
      expect([budget?.active ?? 0, budget?.extras ?? 0], 'budget').to.deep.equal([0, 0]);
      expect(slots?.inUse ?? 0, 'slots').to.equal(0);
      made.targets.close();
      expect(made.clock.pendingTimers, 'timers').to.equal(0);
    },
  });
}

/** Its last attempt answers: headers, a message, the status. */
export function succeed({ wires }: StubbedCall, reply: unknown): void {
  const wire = wires.at(-1);
  wire?.listener?.onReceiveMetadata?.(new grpc.Metadata());
  wire?.message(reply);
  wire?.end(grpc.status.OK);
}

/** Its last attempt fails, as grpc-js tells it. */
export function fail({ wires }: StubbedCall, code = grpc.status.UNAVAILABLE, details = 'broken'): void {
  const wire = wires.at(-1);
  if (!wire?.options.method_definition.responseStream) wire?.message(null);
  wire?.end(code, details);
}

export function metadataOf(entries: Readonly<Record<string, string>>): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(entries)) metadata.set(key, value);
  return metadata;
}
