/**
 * OpenTelemetry's SDK in memory, registered as an application would register it: a reader that a test collects from, and spans kept
 * in a list. What is registered is global; `unregister` takes all of it back.
 */
import { type Attributes, context, metrics, type Span, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { AggregationTemporality, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';

class Reader extends MetricReader {
  protected async onForceFlush(): Promise<void> {}
  protected async onShutdown(): Promise<void> {}
}

export interface Point {
  readonly attributes: Attributes;
  readonly value: number;
}

export interface Collected {
  readonly units: ReadonlyMap<string, string>;
  /** Of one metric; those whose attributes include these. */
  points(name: string, attributes?: Attributes): readonly Point[];
  /** Their sum; undefined: there are none. */
  sum(name: string, attributes?: Attributes): number | undefined;
}

export interface Metering {
  readonly provider: MeterProvider;
  collect(): Promise<Collected>;
}

export function meterInMemory(temporality = AggregationTemporality.CUMULATIVE): Metering {
  const reader = new Reader({ aggregationTemporalitySelector: () => temporality });
  const provider = new MeterProvider({ readers: [reader] });
  return { provider, collect: async () => collected(reader) };
}

/** The same, as the process's own. */
export function registerMetrics(temporality?: AggregationTemporality): Metering {
  const metering = meterInMemory(temporality);
  metrics.setGlobalMeterProvider(metering.provider);
  return metering;
}

async function collected(reader: Reader): Promise<Collected> {
  const { resourceMetrics, errors } = await reader.collect();
  if (errors.length > 0) throw errors[0];
  const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  const points = (name: string, attributes: Attributes = {}) =>
    all
      .filter(({ descriptor }) => descriptor.name === name)
      .flatMap(({ dataPoints }) => dataPoints as readonly Point[])
      .filter((point) => Object.entries(attributes).every(([key, value]) => point.attributes[key] === value));
  return {
    units: new Map(all.map(({ descriptor }) => [descriptor.name, descriptor.unit])),
    points,
    sum: (name, attributes) => {
      const found = points(name, attributes);
      return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
    },
  };
}

export interface Tracing {
  /** Runs `fn` within a span, which ends with it. */
  within<T>(name: string, fn: (span: Span) => Promise<T>): Promise<T>;
  span(name: string): ReadableSpan;
}

export function registerTracing(sampler?: Sampler): Tracing {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
    ...(sampler === undefined ? {} : { sampler }),
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
  const tracer = provider.getTracer('test');
  return {
    within: (name, fn) =>
      tracer.startActiveSpan(name, async (span) => {
        try {
          return await fn(span);
        } finally {
          span.end();
        }
      }),
    span: (name) => {
      const found = exporter.getFinishedSpans().find((span) => span.name === name);
      if (!found) throw new Error(`no span ${name} has ended`);
      return found;
    },
  };
}

export function unregister(): void {
  metrics.disable();
  trace.disable();
  context.disable();
}
