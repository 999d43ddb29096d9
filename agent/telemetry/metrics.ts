/**
 * Every metric of an agent: its name, what kind of instrument it is, its unit and its attributes, in one table. Instruments are
 * made of it, the documentation's table is held to it by a test, and nothing is observed that isn't in it.
 *
 * Names follow OpenTelemetry's semantic conventions: lower case and dots, counters of things in the plural, `usage` and `limit`,
 * units of UCUM with annotations for what is counted, `rpc.method` and `error.type` where they mean what they mean everywhere.
 */
import type { DecisionKind } from '../decisions.js';

export type InstrumentKind = 'counter' | 'up-down-counter' | 'gauge';

export const attributeNames = {
  /** Name of this service: one process may have several meshes. */
  caller: 'switchgear.caller',
  /** Set where another mesh of the process has the same name. */
  instance: 'switchgear.instance',
  callee: 'switchgear.callee',
  /** `shop.v1.Inventory/Reserve`, where gRPC called it; absent: the callee as a whole. */
  method: 'rpc.method',
  /** Which part of a resource a guarded call was about. In events alone: there may be any number of them. */
  key: 'switchgear.key',
  policy: 'switchgear.policy.name',
  revision: 'switchgear.policy.revision',
  outcome: 'switchgear.outcome',
  state: 'switchgear.circuit.state',
  fallback: 'switchgear.fallback.kind',
  decision: 'switchgear.decision.kind',
  /** Why, as a word of a closed set, where nothing went wrong that could be an error's type. */
  why: 'switchgear.decision.reason',
  /** In words. In events alone. */
  reason: 'switchgear.reason',
  error: 'error.type',
} as const;

export interface MetricSpec {
  readonly name: string;
  readonly kind: InstrumentKind;
  /** UCUM. */
  readonly unit: string;
  readonly description: string;
  /** Beside `switchgear.caller`, which all have. */
  readonly attributes: readonly string[];
}

const { callee, method, policy, outcome, state, fallback, decision, why, error } = attributeNames;

/** Under which attribute the code of a decision is told, on spans and in metrics: `error.type` is for what went wrong. */
export const codeAttributes: { readonly [K in DecisionKind]: string } = {
  reject: error,
  timeout: error,
  retry: error,
  'give-up': why,
  hedge: why,
  degrade: fallback,
  'would-reject': error,
  'would-timeout': error,
  'would-retry': error,
  'would-hedge': why,
  'would-degrade': fallback,
  'would-eject': why,
};

export const metricSpecs = {
  calls: {
    name: 'switchgear.calls',
    kind: 'counter',
    unit: '{call}',
    description: 'Calls that began and have ended, by outcome; each retry and hedge is one of its own',
    attributes: [callee, method, outcome],
  },
  slowCalls: {
    name: 'switchgear.slow_calls',
    kind: 'counter',
    unit: '{call}',
    description: "Of them, those that took as long as the circuit's slowCall or longer",
    attributes: [callee, method, policy],
  },
  rejections: {
    name: 'switchgear.rejections',
    kind: 'counter',
    unit: '{call}',
    description: 'Calls and further attempts that never began, by code',
    attributes: [callee, method, error, policy],
  },
  timeouts: {
    name: 'switchgear.timeouts',
    kind: 'counter',
    unit: '{call}',
    description: 'Calls and attempts that a limit of time of a policy ended',
    attributes: [callee, method, policy],
  },
  retries: {
    name: 'switchgear.retries',
    kind: 'counter',
    unit: '{attempt}',
    description: 'Attempts after a failure, by the status that was tried again',
    attributes: [callee, method, error, policy],
  },
  giveUps: {
    name: 'switchgear.give_ups',
    kind: 'counter',
    unit: '{attempt}',
    description: 'Retries and hedges that were not made although the policy names them, by reason',
    attributes: [callee, method, why, policy],
  },
  hedges: {
    name: 'switchgear.hedges',
    kind: 'counter',
    unit: '{attempt}',
    description: 'Attempts beside one that is slow, or after one that failed before it was',
    attributes: [callee, method, why, policy],
  },
  fallbacks: {
    name: 'switchgear.fallbacks',
    kind: 'counter',
    unit: '{call}',
    description: "Calls that a fallback answered, by its kind; `caller` is the application's own",
    attributes: [callee, method, fallback, policy],
  },
  shadowDecisions: {
    name: 'switchgear.shadow.decisions',
    kind: 'counter',
    unit: '{decision}',
    description: 'What policies in shadow would have done',
    attributes: [callee, method, decision, error, why, fallback, policy],
  },
  queueCalls: {
    name: 'switchgear.queue.calls',
    kind: 'counter',
    unit: '{call}',
    description: 'Calls that waited in line for a slot and got one',
    attributes: [callee, method, policy],
  },
  queueTime: {
    name: 'switchgear.queue.time',
    kind: 'counter',
    unit: 's',
    description: 'How long they waited, together',
    attributes: [callee, method, policy],
  },
  queueLength: {
    name: 'switchgear.queue.length',
    kind: 'up-down-counter',
    unit: '{call}',
    description: 'Calls in line now',
    attributes: [callee, method, policy],
  },
  bulkheadUsage: {
    name: 'switchgear.bulkhead.usage',
    kind: 'up-down-counter',
    unit: '{call}',
    description: 'Slots in use now',
    attributes: [callee, method, policy],
  },
  bulkheadLimit: {
    name: 'switchgear.bulkhead.limit',
    kind: 'up-down-counter',
    unit: '{call}',
    description: 'Slots there are; with `auto` it moves',
    attributes: [callee, method, policy],
  },
  circuitState: {
    name: 'switchgear.circuit.state',
    kind: 'up-down-counter',
    unit: '{circuit}',
    description: 'Circuits in this state now; 0 for a state that they were in before',
    attributes: [callee, method, policy, state],
  },
  circuitCalls: {
    name: 'switchgear.circuit.calls',
    kind: 'counter',
    unit: '{call}',
    description: 'Calls by the circuit that counted them',
    attributes: [callee, method, policy, outcome],
  },
  policyCalls: {
    name: 'switchgear.policy.calls',
    kind: 'counter',
    unit: '{call}',
    description: 'Calls by each policy that had a say in them',
    attributes: [callee, policy, outcome],
  },
  policyRevision: {
    name: 'switchgear.policy.revision',
    kind: 'gauge',
    unit: '1',
    description: 'Revision in force; 0: no longer in force for anything that is called',
    attributes: [policy],
  },
  overflowCalls: {
    name: 'switchgear.overflow.calls',
    kind: 'counter',
    unit: '{call}',
    description: 'Calls beyond 10,000 callees, methods and keys in use, which share what their callee has',
    attributes: [],
  },
} as const satisfies { readonly [name: string]: MetricSpec };

export type MetricName = keyof typeof metricSpecs;
