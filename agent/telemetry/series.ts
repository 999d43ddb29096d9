/**
 * Numbers by metric and attributes, between where they are counted and where an exporter reads them. OpenTelemetry's SDK goes on
 * reporting what it was told last of attributes that are observed no more; so a series, once there, is observed each time.
 *
 * Bound: 10,000 series of each metric. Those over it count together, as callee `(overflow)`.
 */
import type { Attributes, BatchObservableResult, Observable } from '@opentelemetry/api';
import { attributeNames, type MetricName } from './metrics.js';

export type Instruments = ReadonlyMap<MetricName, Observable>;

interface Row {
  readonly attributes: Attributes;
  value: number;
}

const SERIES_MAX = 10_000;
const OVERFLOW = '(overflow)';

export class Series {
  readonly #common: Attributes;
  readonly #max: number;
  readonly #byMetric = new Map<MetricName, Map<string, Row>>();

  /** `common`: attributes of every series. */
  constructor(common: Attributes, max = SERIES_MAX) {
    this.#common = common;
    this.#max = max;
  }

  add(metric: MetricName, attributes: Attributes, amount: number): void {
    this.#row(metric, attributes).value += amount;
  }

  set(metric: MetricName, attributes: Attributes, value: number): void {
    this.#row(metric, attributes).value = value;
  }

  /** All that is there stays, at 0. */
  zero(): void {
    for (const rows of this.#byMetric.values()) for (const row of rows.values()) row.value = 0;
  }

  observe(result: BatchObservableResult, instruments: Instruments): void {
    for (const [metric, rows] of this.#byMetric) {
      const instrument = instruments.get(metric);
      if (!instrument) continue;
      for (const { attributes, value } of rows.values()) result.observe(instrument, value, attributes);
    }
  }

  #row(metric: MetricName, attributes: Attributes): Row {
    let rows = this.#byMetric.get(metric);
    if (!rows) {
      rows = new Map();
      this.#byMetric.set(metric, rows);
    }
    const key = keyOf(attributes);
    const known = rows.get(key);
    if (known) return known;
    if (rows.size >= this.#max) return this.#overflow(rows);
    const row = { attributes: { ...this.#common, ...attributes }, value: 0 };
    rows.set(key, row);
    return row;
  }

  #overflow(rows: Map<string, Row>): Row {
    let row = rows.get(OVERFLOW);
    if (!row) {
      row = { attributes: { ...this.#common, [attributeNames.callee]: OVERFLOW }, value: 0 };
      rows.set(OVERFLOW, row);
    }
    return row;
  }
}

function keyOf(attributes: Attributes): string {
  let key = '';
  for (const name in attributes) key += `${name}\0${attributes[name]}\0`;
  return key;
}
