/**
 * Reads TypeScript just far enough for the house rules: where comments, strings and regular expressions begin and end, and
 * which modules a file names. TypeScript 7 has no programming interface to borrow a parser from, and the rules need no more
 * than this. It never judges; `rules.ts` does.
 */

export interface Reference {
  /** As written: `./clock.js`, `node:crypto`, `@grpc/grpc-js`. */
  readonly specifier: string;
  /** `static` and `type` stand at the top of a file; `dynamic` is `import()`; `url` is `new URL(…, import.meta.url)`. */
  readonly kind: 'static' | 'type' | 'dynamic' | 'url';
  readonly line: number;
}

export interface Scan {
  /** The source with the insides of comments, strings and regular expressions blanked, every other character in its place. */
  readonly code: string;
  /** Comments, in order, with the line they start on. */
  readonly comments: readonly { readonly text: string; readonly line: number }[];
  readonly references: readonly Reference[];
}

const wordsBeforeRegex =
  /(?:^|[^\w$.])(?:return|typeof|instanceof|in|of|new|delete|void|throw|case|do|else|await|yield)$/;

/** One pass over the text; template literals nest, so their open braces are counted on a stack. */
class Scanner {
  readonly #source: string;
  readonly #blank: string[];
  readonly comments: { text: string; line: number }[] = [];
  readonly #templateDepths: number[] = [];
  #braces = 0;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
    this.#blank = [...source.split('')];
  }

  run(): string {
    if (this.#source.startsWith('#!')) this.#skipTo(this.#lineEnd(0));
    while (this.#at < this.#source.length) this.#step();
    return this.#blank.join('');
  }

  #step(): void {
    const rest = this.#source.slice(this.#at, this.#at + 2);
    const char = rest[0] ?? '';
    const endsExpression = char === '}' && this.#templateDepths.at(-1) === this.#braces;
    if (rest === '//') this.#comment(this.#lineEnd(this.#at));
    else if (rest === '/*') this.#comment(this.#after('*/', this.#at + 2));
    else if (char === "'" || char === '"') this.#quoted(char);
    else if (char === '`') this.#template();
    else if (char === '/' && this.#regexMayStart()) this.#regex();
    else if (endsExpression) {
      this.#templateDepths.pop();
      this.#template();
    } else {
      if (char === '{') this.#braces += 1;
      if (char === '}') this.#braces -= 1;
      this.#at += 1;
    }
  }

  #comment(end: number): void {
    const line = lineOf(this.#source, this.#at);
    this.comments.push({ text: this.#source.slice(this.#at, end), line });
    this.#skipTo(end);
  }

  #quoted(quote: string): void {
    let end = this.#at + 1;
    while (end < this.#source.length && this.#source[end] !== quote && this.#source[end] !== '\n')
      end += this.#source[end] === '\\' ? 2 : 1;
    this.#at += 1;
    this.#skipTo(Math.min(end, this.#source.length));
    this.#at += 1;
  }

  /** From a backtick, or the brace that ends an expression inside, to the end or the next `${`. */
  #template(): void {
    this.#at += 1;
    let end = this.#at;
    while (end < this.#source.length && this.#source[end] !== '`') {
      if (this.#source.startsWith('${', end)) {
        this.#skipTo(end);
        this.#at += 2;
        this.#templateDepths.push(this.#braces);
        return;
      }
      end += this.#source[end] === '\\' ? 2 : 1;
    }
    this.#skipTo(Math.min(end, this.#source.length));
    this.#at += 1;
  }

  #regex(): void {
    let end = this.#at + 1;
    let inClass = false;
    while (end < this.#source.length && this.#source[end] !== '\n') {
      const char = this.#source[end];
      if (char === '/' && !inClass) break;
      if (char === '[') inClass = true;
      if (char === ']') inClass = false;
      end += char === '\\' ? 2 : 1;
    }
    this.#at += 1;
    this.#skipTo(Math.min(end, this.#source.length));
    this.#at += 1;
  }

  #regexMayStart(): boolean {
    const before = this.#blank
      .slice(Math.max(0, this.#at - 200), this.#at)
      .join('')
      .trimEnd();
    return before === '' || /[([{}=:;,!&|?+\-*%<>~^]$/.test(before) || wordsBeforeRegex.test(before);
  }

  #skipTo(end: number): void {
    for (; this.#at < end; this.#at += 1) if (this.#source[this.#at] !== '\n') this.#blank[this.#at] = ' ';
  }

  #lineEnd(from: number): number {
    const end = this.#source.indexOf('\n', from);
    return end < 0 ? this.#source.length : end;
  }

  #after(text: string, from: number): number {
    const end = this.#source.indexOf(text, from);
    return end < 0 ? this.#source.length : end + text.length;
  }
}

/** Line of a place in the text, counted from 1. */
export function lineOf(source: string, index: number): number {
  let line = 1;
  for (let at = source.indexOf('\n'); at >= 0 && at < index; at = source.indexOf('\n', at + 1)) line += 1;
  return line;
}

const forms: readonly { kind: Reference['kind']; pattern: RegExp }[] = [
  { kind: 'type', pattern: /(?<![\w$.])(?:import|export)\s+type\b[^'"`;=()]*?\bfrom\s*['"]/g },
  {
    kind: 'static',
    pattern: /(?<![\w$.])(?:import|export)\s+(?!type\b(?!\s*(?:,|from\b)))[^'"`;=()]*?\bfrom\s*['"]/g,
  },
  { kind: 'static', pattern: /(?<![\w$.])import\s*['"]/g },
  { kind: 'dynamic', pattern: /(?<![\w$.])import\s*\(\s*['"]/g },
  { kind: 'url', pattern: /\bnew\s+URL\s*\(\s*['"](?= *['"]\s*,\s*import\.meta\.url)/g },
];

export function scan(source: string): Scan {
  const scanner = new Scanner(source);
  const code = scanner.run();
  const references: Reference[] = [];
  for (const { kind, pattern } of forms) {
    for (const match of code.matchAll(pattern)) {
      const start = match.index + match[0].length;
      const quote = source[start - 1] ?? '';
      const end = source.indexOf(quote, start);
      const type = /^(?:import|export)\s*\{\s*(?:type\s+[\w$]+(?:\s+as\s+[\w$]+)?\s*,?\s*)+\}/.test(match[0]);
      references.push({
        specifier: source.slice(start, end),
        kind: kind === 'static' && type ? 'type' : kind,
        line: lineOf(source, match.index),
      });
    }
  }
  return { code, comments: scanner.comments, references };
}
