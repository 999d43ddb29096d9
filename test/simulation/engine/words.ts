/**
 * The words of one line of a scenario, taken one after the other. Whatever is missing, or is something else, is said with the
 * place and what would be right.
 */
import { parseDuration, parseRate } from '../../../core/policy/units.js';

export class Words {
  readonly #words: readonly string[];
  #at = 0;

  constructor(
    readonly file: string,
    readonly line: number,
    readonly text: string,
  ) {
    this.#words = text.split(/\s+/);
  }

  fail(what: string): never {
    throw new Error(`${this.file}:${this.line}: ${what}, in "${this.text}"`);
  }

  get done(): boolean {
    return this.#at >= this.#words.length;
  }

  peek(): string {
    return this.#words[this.#at] ?? '';
  }

  next(what: string): string {
    const word = this.#words[this.#at++];
    if (word === undefined) this.fail(`${what} is missing at the end`);
    return word;
  }

  /** Takes these words if they come next. */
  takes(words: string): boolean {
    const wanted = words.split(' ');
    if (!wanted.every((word, i) => this.#words[this.#at + i] === word)) return false;
    this.#at += wanted.length;
    return true;
  }

  /** All that is left. */
  rest(what: string): string {
    if (this.done) this.fail(`${what} is missing at the end`);
    const rest = this.#words.slice(this.#at).join(' ');
    this.#at = this.#words.length;
    return rest;
  }

  end(): void {
    if (!this.done) this.fail(`"${this.peek()}" is one word too many`);
  }

  oneOf<T extends string>(what: string, choices: readonly T[]): T {
    const found = choices.find((choice) => this.takes(choice));
    if (found === undefined) this.fail(`${what} must be one of: ${choices.join(', ')}; got "${this.peek()}"`);
    return found;
  }

  duration(what: string): number {
    return this.#read(what, 'a duration, for example 10s', parseDuration);
  }

  rate(what: string): number {
    return this.#read(what, 'a rate, for example 30%', parseRate);
  }

  whole(what: string, max: number): number {
    return this.#read(what, `a whole number from 1 to ${max}`, (word) => {
      const value = /^\d+$/.test(word) ? Number(word) : 0;
      return value >= 1 && value <= max ? value : undefined;
    });
  }

  number(what: string): number {
    return this.#read(what, 'a number', (word) => (/^\d+(\.\d+)?$/.test(word) ? Number(word) : undefined));
  }

  /** `200/s`, `0.5/s`, `6/m`: a second's worth. */
  perSecond(what: string): number {
    return this.#read(what, 'a pace, for example 200/s or 6/m', (word) => {
      const [, value, unit] = /^(\d+(?:\.\d+)?)\/([sm])$/.exec(word) ?? [];
      return value === undefined || Number(value) === 0 ? undefined : Number(value) / (unit === 's' ? 1 : 60);
    });
  }

  #read(what: string, form: string, parse: (word: string) => number | undefined): number {
    const word = this.next(what);
    const value = parse(word);
    if (value === undefined) this.fail(`${what} must be ${form}; got "${word}"`);
    return value;
  }
}
