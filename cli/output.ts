/**
 * How answers look: terse tables for people, one JSON value for programs, colour only where somebody sees it. Whatever came
 * from elsewhere (names, reasons of agents) is made printable first, so that no answer can steer a terminal.
 */
import type { Io, Sink } from './io.js';

export type Colour = 'red' | 'green' | 'yellow' | 'blue' | 'dim' | 'bold';

const codes: Record<Colour, [number, number]> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  dim: [2, 22],
  bold: [1, 22],
};

/** Paints text, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string;

/** NO_COLOR (any value but the empty one) always wins; FORCE_COLOR paints where no terminal is. */
export function painter(sink: Sink, env: Io['env']): Paint {
  const forced = env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== '' && env.FORCE_COLOR !== '0';
  const on = (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb' && (sink.isTTY === true || forced);
  if (!on) return (_colour, text) => text;
  return (colour, text) => `\u001b[${codes[colour][0]}m${text}\u001b[${codes[colour][1]}m`;
}

/** Text from elsewhere, on one line and without control characters. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ');
}

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string | number;
  readonly colour?: (row: Row) => Colour | undefined;
  /** Figures stand to the right. */
  readonly right?: boolean;
}

/** Titles, then a line for each row, columns two blanks apart. */
export function table<Row>(paint: Paint, columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map(({ value }) => printable(String(value(row)))));
  const widths = columns.map(({ title }, i) =>
    Math.max(title.length, ...cells.map((line) => line[i]?.length ?? 0)),
  );
  const place = (text: string, i: number) => {
    const width = widths[i] ?? 0;
    if (columns[i]?.right) return text.padStart(width);
    return i === columns.length - 1 ? text : text.padEnd(width);
  };
  const head = columns.map(({ title }, i) => paint('dim', place(title.toUpperCase(), i))).join('  ');
  const lines = cells.map((line, at) =>
    line
      .map((text, i) => {
        const row = rows[at];
        const colour = row === undefined ? undefined : columns[i]?.colour?.(row);
        return colour ? paint(colour, place(text, i)) : place(text, i);
      })
      .join('  ')
      .trimEnd(),
  );
  return [head.trimEnd(), ...lines].join('\n');
}

/** The colour of a circuit's state, the same wherever one is shown. */
export function colourOfState(state: string): Colour | undefined {
  if (state === 'closed') return 'green';
  if (state === 'open' || state === 'forced-open') return 'red';
  return state === 'disabled' || state === 'shadow' ? 'dim' : 'yellow';
}

/** `850 ms`, `12 s`, `5 min`, `3 h`, `2 d`: for people, two digits of truth. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const units = [
    ['s', 1000, 120],
    ['min', 60_000, 120],
    ['h', 3_600_000, 48],
    ['d', 86_400_000, Number.POSITIVE_INFINITY],
  ] as const;
  for (const [unit, sizeMs, most] of units)
    if (ms / sizeMs < most) return `${Math.round(ms / sizeMs)} ${unit}`;
  return '';
}

/** When an open circuit lets a call through; of any other state there is nothing to wait for. */
export function retryIn({ state, retryAfterMs }: { state: string; retryAfterMs: number }): string {
  if (retryAfterMs > 0) return duration(retryAfterMs);
  return state === 'open' ? 'next call' : '-';
}

/** `1 agent`, `3 agents`. */
export function count(n: number, noun: string): string {
  return `${n} ${n === 1 ? noun : noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`}`;
}

export class Output {
  readonly paint: Paint;
  readonly #io: Io;
  readonly #json: boolean;

  constructor(io: Io, json: boolean) {
    this.#io = io;
    this.#json = json;
    this.paint = painter(io.stdout, io.env);
  }

  /** The command's answer: `value` as one JSON document, or what `people` writes. */
  answer(value: unknown, people: () => string): void {
    const text = this.#json ? JSON.stringify(value, null, 2) : people();
    if (text !== '') this.#io.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  }

  /** For people only, on standard error: never part of an answer. */
  note(text: string): void {
    if (!this.#json) this.#io.stderr.write(`${text}\n`);
  }

  table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
    return table(this.paint, columns, rows);
  }
}
