/**
 * The house rules as pure functions: each takes the files (path → source, paths from the root with forward slashes) and
 * answers the violations, one line each, with the place and what would be right. The tests plant a violation for every rule,
 * so that a rule that no longer sees anything fails.
 */
import { posix } from 'node:path';
import { type Reference, type Scan, scan } from './scan.js';

export type Files = ReadonlyMap<string, string>;

export const rooms = {
  core: ['core'],
  proto: ['proto', 'core'],
  agent: ['agent', 'proto', 'core'],
  sdk: ['sdk', 'agent', 'proto', 'core'],
  'control-plane': ['control-plane', 'proto', 'core'],
  cli: ['cli', 'control-plane', 'sdk', 'core'],
  examples: ['examples'],
  bench: ['bench', 'sdk', 'agent', 'proto', 'core'],
  test: ['test', 'bench', 'examples', 'cli', 'control-plane', 'sdk', 'agent', 'proto', 'core'],
} as const satisfies Record<string, readonly string[]>;

type Room = keyof typeof rooms;

/** What anybody outside the arrows may import as well: the files behind the exports map. */
const publicEntries = [
  'sdk/index.ts',
  'agent/index.ts',
  'control-plane/index.ts',
  'core/policy/index.ts',
] as const;

/** Packages by room; a room not named here may use any package that package.json lists. */
const packagesAllowed: Partial<Record<Room, readonly string[]>> = {
  core: ['zod', 'node:crypto'],
};

/** Packages of the control plane's side, which a service that embeds the SDK must never load. */
const heavyPackages = [
  'fastify',
  '@fastify/swagger',
  '@fastify/swagger-ui',
  'ioredis',
  'pino',
  'prom-client',
  'classic-level',
  'memory-level',
  'commander',
];

const LINES_MAX = 400;

const scans = new WeakMap<Files, Map<string, Scan>>();

/** Each file is read once, whichever rules ask. */
function scanned(files: Files): Map<string, Scan> {
  let known = scans.get(files);
  if (!known) {
    known = new Map();
    for (const [path, source] of files) if (/\.(ts|mts|mjs)$/.test(path)) known.set(path, scan(source));
    scans.set(files, known);
  }
  return known;
}

function roomOf(path: string): Room | undefined {
  const top = path.split('/')[0] ?? '';
  return top in rooms ? (top as Room) : undefined;
}

/** The file that a relative specifier means: `.js` is written, `.ts` is there. */
function target(files: Files, from: string, specifier: string): string | undefined {
  const path = posix.join(posix.dirname(from), specifier);
  return [path, path.replace(/\.js$/, '.ts'), path.replace(/\.mjs$/, '.mts')].find((name) => files.has(name));
}

function isRelative(specifier: string): boolean {
  return specifier.startsWith('./') || specifier.startsWith('../');
}

/** `@grpc/grpc-js/build/x` → `@grpc/grpc-js`; builtins keep their `node:`. */
export function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function* references(files: Files): Iterable<{ path: string; room: Room | undefined; reference: Reference }> {
  for (const [path, { references: list }] of scanned(files))
    for (const reference of list) yield { path, room: roomOf(path), reference };
}

/** sdk → agent → proto → core; control-plane → proto → core; cli → control-plane, sdk, core. */
export function arrows(files: Files): string[] {
  const faults: string[] = [];
  for (const { path, room, reference } of references(files)) {
    if (!room || reference.kind === 'url') continue;
    const { specifier, line } = reference;
    const where = `${path}:${line}`;
    if (!isRelative(specifier)) {
      const allowed = packagesAllowed[room];
      if (allowed && !allowed.includes(packageOf(specifier)))
        faults.push(`${where} imports ${specifier}: ${room}/ may import ${allowed.join(', ')} and itself`);
      continue;
    }
    const file = target(files, path, specifier);
    if (!file) {
      if (!specifier.endsWith('.json')) faults.push(`${where} imports ${specifier}: there is no such file`);
      continue;
    }
    const to = roomOf(file);
    const entry = (room === 'examples' || room === 'bench') && publicEntries.some((name) => name === file);
    if (!entry && !(rooms[room] as readonly string[]).includes(to ?? ''))
      faults.push(
        `${where} imports ${file}: no arrow leads from ${room}/ to ${to ?? 'there'}; allowed: ${rooms[room].join(', ')}`,
      );
  }
  return faults;
}

function graph(files: Files, kinds: readonly Reference['kind'][]): Map<string, string[]> {
  const edges = new Map<string, string[]>();
  for (const path of scanned(files).keys()) edges.set(path, []);
  for (const { path, reference } of references(files)) {
    if (!isRelative(reference.specifier) || !kinds.includes(reference.kind)) continue;
    const to = target(files, path, reference.specifier);
    if (to) edges.get(path)?.push(to);
  }
  return edges;
}

/** No circle of imports between files, types included: two files that need each other are one concept, or three. */
export function cycles(files: Files): string[] {
  const edges = graph(files, ['static', 'type', 'dynamic']);
  const faults: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      faults.push(
        `${[...path.slice(start), file].join(' → ')}: a cycle; move what both need into a file of its own`,
      );
      return;
    }
    if (done.has(file)) return;
    path.push(file);
    for (const next of edges.get(file) ?? []) visit(next);
    path.pop();
    done.add(file);
  };
  for (const file of edges.keys()) visit(file);
  return faults;
}

function reach(edges: Map<string, string[]>, entries: Iterable<string>): Set<string> {
  const seen = new Set<string>();
  const queue = [...entries].filter((entry) => edges.has(entry));
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    queue.push(...(edges.get(file) ?? []));
  }
  return seen;
}

/** Every file is reachable from an entry: the exports map, the bin, an example, a benchmark, a test. */
export function deadFiles(files: Files, entries: Iterable<string>): string[] {
  const edges = graph(files, ['static', 'type', 'dynamic', 'url']);
  const isEntry = (path: string) => /^(examples|bench|tools)\//.test(path);
  const alive = reach(edges, [...entries, ...[...edges.keys()].filter(isEntry)]);
  const aliveOfTests = reach(
    edges,
    [...edges.keys()].filter((path) => path.endsWith('.test.ts')),
  );
  const namedByTests = [...files].filter(([path]) => path.startsWith('test/')).map(([, source]) => source);
  const faults: string[] = [];
  for (const path of edges.keys()) {
    if (alive.has(path) || !roomOf(path)) continue;
    const started = namedByTests.some((source) => source.includes(posix.basename(path)));
    if (path.startsWith('test/') && (aliveOfTests.has(path) || started || path === 'test/support/setup.ts'))
      continue;
    faults.push(
      `${path}: nothing reaches it from the exports map, the bin, examples or bench; use it or delete it`,
    );
  }
  return faults;
}

/** A service that imports the SDK loads neither a web server nor a Redis client. */
export function heavyInSdk(files: Files): string[] {
  const edges = graph(files, ['static', 'type', 'dynamic']);
  const fromSdk = reach(
    edges,
    [...edges.keys()].filter((path) => path.startsWith('sdk/')),
  );
  const faults: string[] = [];
  for (const { path, reference } of references(files))
    if (fromSdk.has(path) && heavyPackages.includes(packageOf(reference.specifier)))
      faults.push(
        `${path}:${reference.line} imports ${reference.specifier}, and sdk/ reaches this file; keep it in control-plane/`,
      );
  return faults;
}

/** 100 ms and 15 MB that only a process with a stream needs. */
export function lazyProtoLoader(files: Files): string[] {
  const faults: string[] = [];
  for (const { path, room, reference } of references(files))
    if (
      (room === 'proto' || room === 'agent' || room === 'sdk') &&
      reference.kind === 'static' &&
      reference.specifier === '@grpc/proto-loader'
    )
      faults.push(
        `${path}:${reference.line} imports @grpc/proto-loader eagerly; use await import('@grpc/proto-loader')`,
      );
  return faults;
}

const clockReplacement = 'take a Clock (core/clock.ts) as an argument and use clock';
const randomReplacement = 'take a Random (core/random.ts) as an argument and use random';

const banned: readonly { pattern: RegExp; name: string; instead: string }[] = [
  { pattern: /\bDate\s*\.\s*now\b/g, name: 'Date.now', instead: `${clockReplacement}.wallNow()` },
  {
    pattern: /\bnew\s+Date\s*(?:\(\s*\)|(?!\s*\())/g,
    name: 'new Date()',
    instead: `${clockReplacement}.wallNow()`,
  },
  {
    pattern: /\bperformance\s*\.\s*(?:now|timeOrigin)\b/g,
    name: 'performance.now',
    instead: `${clockReplacement}.now()`,
  },
  {
    pattern: /\bprocess\s*\.\s*(?:hrtime|uptime)\b/g,
    name: 'process.hrtime',
    instead: `${clockReplacement}.now()`,
  },
  {
    pattern: /(?<!\.\s*)\bsetTimeout\b/g,
    name: 'setTimeout',
    instead: `${clockReplacement}.after(), or wait(clock, ms)`,
  },
  { pattern: /(?<!\.\s*)\bsetInterval\b/g, name: 'setInterval', instead: `${clockReplacement}.every()` },
  {
    pattern: /\bglobalThis\s*\.\s*set(?:Timeout|Interval)\b/g,
    name: 'globalThis.setTimeout',
    instead: `${clockReplacement}.after()`,
  },
  {
    pattern: /\bAbortSignal\s*\.\s*timeout\b/g,
    name: 'AbortSignal.timeout',
    instead: `${clockReplacement}.after() with an AbortController`,
  },
  { pattern: /\bMath\s*\.\s*random\b/g, name: 'Math.random', instead: `${randomReplacement}.next()` },
  {
    pattern: /\b(?:randomBytes|randomUUID|randomInt|randomFillSync|getRandomValues)\b/g,
    name: 'the entropy of crypto',
    instead: `${randomReplacement}.hex(bytes)`,
  },
];

/** Time and chance come as arguments; only core/clock.ts and core/random.ts touch the machine's. */
export function clockAndRandom(files: Files): string[] {
  const faults: string[] = [];
  for (const [path, { code, references: list }] of scanned(files)) {
    const room = roomOf(path);
    if (!room || room === 'test' || room === 'bench' || room === 'examples') continue;
    if (path === 'core/clock.ts' || path === 'core/random.ts') continue;
    for (const { pattern, name, instead } of banned)
      for (const match of code.matchAll(pattern))
        faults.push(`${path}:${code.slice(0, match.index).split('\n').length} uses ${name}: ${instead}`);
    for (const { specifier, line } of list)
      if (/^(node:)?timers(\/promises)?$/.test(specifier))
        faults.push(`${path}:${line} imports ${specifier}: ${clockReplacement}.after(), or wait(clock, ms)`);
  }
  return faults;
}

export function fileNames(files: Files): string[] {
  const faults: string[] = [];
  for (const path of files.keys()) {
    const wrong = path
      .split('/')
      .find((part) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|d))?(\.[a-z]+)?$/.test(part));
    if (wrong) faults.push(`${path}: "${wrong}" is not kebab-case, for example policy-cache.ts`);
  }
  return faults;
}

/** The first thing a reader meets is what the file is for. */
export function openingComment(files: Files): string[] {
  const faults: string[] = [];
  const wordsMin = 6;
  for (const [path, source] of files) {
    const text = source.replace(/^#!.*\n/, '').trimStart();
    const opening = /^(?:\/\*\*?([\s\S]*?)\*\/|((?:(?:\/\/|--).*\n?)+))/.exec(text);
    const words = (opening?.[1] ?? opening?.[2] ?? '').match(/[\p{L}\p{N}]+/gu)?.length ?? 0;
    if (words < wordsMin)
      faults.push(
        `${path}:1 has no opening comment: say what the file is for, why this way, what it never does`,
      );
  }
  return faults;
}

/** Whoever reads a script's call must know its keys, arguments and answer without reading Lua. */
export function luaHeaders(files: Files): string[] {
  const faults: string[] = [];
  for (const [path, source] of files) {
    if (!path.endsWith('.lua')) continue;
    const header = /^(?:--.*\n)*/.exec(source)?.[0] ?? '';
    for (const [word, pattern] of [
      ['KEYS', /KEYS/],
      ['ARGV', /ARGV/],
      ['output', /returns?|output|answers?|result/i],
    ] as const)
      if (!pattern.test(header)) faults.push(`${path}:1 opens without its ${word}`);
  }
  return faults;
}

export function defaultExports(files: Files): string[] {
  const faults: string[] = [];
  for (const [path, { code }] of scanned(files))
    for (const match of code.matchAll(/(?<![\w$.])export\s+default\b|\bas\s+default\b/g))
      faults.push(
        `${path}:${code.slice(0, match.index).split('\n').length} exports a default; give it the name it is imported by`,
      );
  return faults;
}

export function fileLength(files: Files): string[] {
  const faults: string[] = [];
  for (const [path, source] of files) {
    if (path.startsWith('proto/generated/')) continue;
    const lines = source.split('\n').length - 1;
    if (lines > LINES_MAX)
      faults.push(
        `${path}: ${lines} lines, at most ${LINES_MAX} (aim for 250); find the second concept and split it`,
      );
  }
  return faults;
}

/** What is left to do is an issue, not a comment. */
export function looseEnds(files: Files): string[] {
  const faults: string[] = [];
  for (const [path, source] of files) {
    const comments = scanned(files).get(path)?.comments ?? [{ text: source, line: 1 }];
    for (const { text, line } of comments)
      if (/\b(?:TODO|FIXME|XXX|HACK)\b/.test(text))
        faults.push(`${path}:${line} leaves something to do; do it, or open an issue`);
  }
  return faults;
}
