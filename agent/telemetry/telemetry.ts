/**
 * An agent's metrics and span events, through OpenTelemetry's API alone: whoever registers an SDK gets them, nobody has to. All
 * instruments are observable, so numbers are put together when an SDK collects, and calls know nothing of it. The API says nothing
 * when an SDK is registered, and its meters stay as they were made; so once a second we look whether there is another one.
 *
 * Bound: one timer, one callback, the series of `series.ts`; `close` takes all of it back.
 */
import {
  type Attributes,
  type BatchObservableResult,
  createNoopMeter,
  type Meter,
  type MeterProvider,
  metrics,
  type Observable,
} from '@opentelemetry/api';
import type { Clock, Timer } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import type { DecisionFeed } from '../decision-feed.js';
import type { Logger } from '../logger.js';
import type { Target } from '../target.js';
import type { Targets } from '../targets.js';
import { Ledger } from './ledger.js';
import { readLevels } from './levels.js';
import { attributeNames, type MetricName, type MetricSpec, metricSpecs } from './metrics.js';
import { Series } from './series.js';
import { isTracing } from './span-events.js';
import { packageVersion } from './version.js';

export interface TelemetryOptions {
  readonly targets: Targets;
  readonly decisions: DecisionFeed;
  /** Name of the calling service, and of this process within it. */
  readonly service: string;
  readonly instance: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

const LOOK_MS = 1_000;

/** Services whose meshes of this process are measured: a second one of a name would overwrite what the first one says. */
const measured = new Set<string>();

interface Registration {
  readonly meter: Meter;
  readonly instruments: ReadonlyMap<MetricName, Observable>;
}

export class Telemetry {
  readonly #options: TelemetryOptions;
  #provider: MeterProvider | undefined;
  #registration: Registration | undefined;
  #timer: Timer | undefined;
  #named = false;
  #counts = new Series({});
  #levels = new Series({});
  #ledger = new Ledger(this.#counts);

  constructor(options: TelemetryOptions) {
    this.#options = options;
  }

  /** Begins to look for an SDK, now and once a second. */
  start(): void {
    const common = this.#common();
    this.#counts = new Series(common);
    this.#levels = new Series(common);
    this.#ledger = new Ledger(this.#counts);
    this.#look();
    this.#timer = this.#options.clock.every(LOOK_MS, () => this.#look());
  }

  /** Policies are about to change: what was counted so far belongs to those that hold. */
  settle(): void {
    if (this.#registration) for (const target of this.#options.targets.bound()) this.#ledger.settle(target);
  }

  /** It has to make room: nobody will read its counts any more. */
  gone(target: Target): void {
    if (this.#registration) this.#ledger.settle(target);
  }

  close(): void {
    this.#timer?.cancel();
    this.#options.decisions.tracing = false;
    this.#leave();
    this.#provider = undefined;
    if (this.#named) measured.delete(this.#options.service);
    this.#named = false;
  }

  #common(): Attributes {
    const { service, instance } = this.#options;
    const common = { [attributeNames.caller]: service };
    if (measured.has(service)) return { ...common, [attributeNames.instance]: instance };
    measured.add(service);
    this.#named = true;
    return common;
  }

  #look(): void {
    this.#options.decisions.tracing = isTracing();
    const provider = metrics.getMeterProvider();
    if (provider === this.#provider) return;
    this.#leave();
    this.#provider = provider;
    try {
      this.#registration = register(provider, this.#observe);
    } catch (error) {
      this.#complain(error);
    }
  }

  #leave(): void {
    const registration = this.#registration;
    this.#registration = undefined;
    if (!registration) return;
    const { meter, instruments } = registration;
    try {
      meter.removeBatchObservableCallback(this.#observe, [...instruments.values()]);
    } catch (error) {
      this.#complain(error);
    }
  }

  #complain(error: unknown): void {
    this.#options.logger.warn(
      { error: messageOf(error) },
      "the SDK of OpenTelemetry refuses Switchgear's metrics",
    );
  }

  readonly #observe = (result: BatchObservableResult): void => {
    // The callback of a provider that was left may be under way.
    const { instruments } = this.#registration ?? {};
    if (!instruments) return;
    this.settle();
    this.#counts.observe(result, instruments);
    readLevels(this.#options.targets, this.#levels);
    this.#levels.observe(result, instruments);
  };
}

/** Undefined: there is no SDK. */
function register(
  provider: MeterProvider,
  observe: (result: BatchObservableResult) => void,
): Registration | undefined {
  const meter = provider.getMeter('switchgear', packageVersion());
  if (meter === createNoopMeter()) return undefined;
  const names = Object.keys(metricSpecs) as MetricName[];
  const instruments = new Map(names.map((name) => [name, instrumentOf(meter, metricSpecs[name])]));
  meter.addBatchObservableCallback(observe, [...instruments.values()]);
  return { meter, instruments };
}

function instrumentOf(meter: Meter, { name, kind, unit, description }: MetricSpec): Observable {
  const options = { unit, description };
  if (kind === 'counter') return meter.createObservableCounter(name, options);
  if (kind === 'gauge') return meter.createObservableGauge(name, options);
  return meter.createObservableUpDownCounter(name, options);
}
