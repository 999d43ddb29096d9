/**
 * Reads a scenario: one fact a line, `#` begins a comment, order is free but for what names something that must be there before.
 * `docs/simulation.md` describes the form. Every fault is an error with file and line.
 */
import { type ParseResult, parsePolicy } from '../../../core/policy/parse.js';
import type { Fate } from './callee.js';
import type { Latency } from './network.js';
import { readExpectation } from './read-expectation.js';
import {
  type CalleeSpec,
  type Callers,
  type Expectation,
  type Happening,
  replicaDeeds,
  type Scenario,
  storeDeeds,
} from './scenario.js';
import { Words } from './words.js';

const CALLERS_MAX = 1_000_000;
/** An agent keeps the set of those that are ejected in one integer. */
const ENDPOINTS_MAX = 30;
const REPLICAS_MAX = 100;
const COPIES_MAX = 100;
const SEEDS_MAX = 1_000;
const REPEATS_MAX = 10_000;

/** While it is read. */
class Draft {
  title = '';
  seeds = 1;
  quick = false;
  replicas = 2;
  runMs = 0;
  agentLatency: Latency = { min: 0.5, max: 3 };
  storeLatency: Latency = { min: 0.2, max: 1 };
  loss = 0;
  readonly circuit: Record<string, unknown> = { scope: 'cluster' };
  readonly callers: Callers[] = [];
  readonly callees: CalleeSpec[] = [];
  readonly happenings: Happening[] = [];
  readonly expectations: Expectation[] = [];
}

export function readScenario(file: string, text: string): Scenario {
  const draft = new Draft();
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.replace(/#.*/, '').trim();
    if (line === '') continue;
    const words = new Words(file, i + 1, line);
    const subject = words.next('the first word');
    const read = readers[subject];
    if (!read)
      return words.fail(`"${subject}" begins no line; one of ${Object.keys(readers).join(', ')} does`);
    read(draft, words);
    words.end();
  }
  return complete(file, draft);
}

function complete(file: string, draft: Draft): Scenario {
  const { circuit, ...rest } = draft;
  const name = file.replace(/^.*\//, '').replace(/\.txt$/, '');
  for (const [what, missing] of [
    ['title', draft.title === ''],
    ['run', draft.runMs === 0],
    ['callers', draft.callers.length === 0],
    ['callee', draft.callees.length === 0],
    ['expect', draft.expectations.length === 0],
  ] as const)
    if (missing) throw new Error(`${file}: a line that begins with "${what}" is missing`);
  const parsed: ParseResult = parsePolicy({ policy: 'simulated', match: { to: '*' }, spec: { circuit } });
  if (!parsed.ok) {
    const said = parsed.issues.map(({ path, message }) => `${path} ${message}`).join('; ');
    throw new Error(`${file}: its "circuit" lines make no policy: ${said}`);
  }
  return { name, ...rest, policy: parsed.policy };
}

const readers: { readonly [subject: string]: (draft: Draft, words: Words) => void } = {
  title: (draft, words) => {
    draft.title = words.rest('the title');
  },
  seeds: (draft, words) => {
    draft.seeds = words.whole('how many seeds', SEEDS_MAX);
  },
  quick: (draft) => {
    draft.quick = true;
  },
  replicas: (draft, words) => {
    draft.replicas = words.whole('how many replicas', REPLICAS_MAX);
  },
  run: (draft, words) => {
    draft.runMs = words.duration('how long it runs');
  },
  network: (draft, words) => {
    const what = words.oneOf('what of the network', ['agents', 'store', 'loss']);
    if (what === 'loss') draft.loss = words.rate('the loss');
    else draft[what === 'agents' ? 'agentLatency' : 'storeLatency'] = latency(words);
  },
  circuit: (draft, words) => {
    const path = words.next('a field of the circuit').split('.');
    const value = words.rest('its value');
    let into = draft.circuit;
    for (const part of path.slice(0, -1)) {
      into[part] ??= {};
      into = into[part] as Record<string, unknown>;
    }
    into[path.at(-1) as string] = plain(value);
  },
  callers: (draft, words) => {
    const count = words.whole('how many callers', CALLERS_MAX);
    const service = words.next('the service that they are');
    let callers: Callers = {
      count,
      service,
      zones: [''],
      callsPerSecond: 1,
      evenly: false,
      fromMs: 0,
      toMs: Number.POSITIVE_INFINITY,
      lying: false,
    };
    while (!words.done) {
      const option = words.oneOf('an option of callers', ['in', 'calling', 'evenly', 'from', 'to', 'lying']);
      if (option === 'in') callers = { ...callers, zones: words.next('zones').split(',') };
      else if (option === 'calling') callers = { ...callers, callsPerSecond: words.perSecond('their pace') };
      else if (option === 'to') callers = { ...callers, toMs: words.duration('when they end') };
      else if (option === 'from') callers = { ...callers, fromMs: words.duration('when they begin') };
      else callers = { ...callers, [option]: true };
    }
    draft.callers.push(callers);
  },
  callee: (draft, words) => {
    const name = words.next('its name');
    let endpoints = 1;
    let answersMs = 5;
    let copies = 1;
    while (!words.done) {
      const option = words.oneOf('an option of a callee', ['endpoints', 'answers', 'copies']);
      if (option === 'endpoints') endpoints = words.whole('how many endpoints', ENDPOINTS_MAX);
      else if (option === 'answers') answersMs = words.duration('how long an answer takes');
      else copies = words.whole('how many copies', COPIES_MAX);
    }
    for (let copy = 1; copy <= copies; copy++)
      draft.callees.push({ name: copies === 1 ? name : `${name}-${copy}`, endpoints, answersMs });
  },
  at: (draft, words) => {
    happen(draft, words, words.duration('when'));
  },
  from: (draft, words) => {
    repeat(draft, words);
  },
  expect: (draft, words) => {
    draft.expectations.push(
      readExpectation(
        words,
        draft.callees.map(({ name }) => name),
      ),
    );
  },
};

/** `1ms..5ms`, or one duration for all. */
function latency(words: Words): Latency {
  const text = words.next('a latency');
  const [min, max = min] = text
    .split('..')
    .map((part) => new Words(words.file, words.line, part).duration('a latency'));
  return { min: min as number, max: max as number };
}

/** As a policy's document would have it: numbers, lists, and text. */
function plain(value: string): unknown {
  const list = /^\[(.*)\]$/.exec(value)?.[1];
  if (list !== undefined) return list.split(',').map((item) => plain(item.trim()));
  return /^\d+$/.test(value) ? Number(value) : value;
}

function happen(draft: Draft, words: Words, atMs: number): void {
  const subject = words.next('whom it happens to');
  if (subject === 'store') {
    draft.happenings.push({ atMs, kind: 'store', deed: words.oneOf('what happens', storeDeeds) });
  } else if (subject === 'replica') {
    const replica = words.whole('which replica', draft.replicas) - 1;
    const deed = words.oneOf('what happens', replicaDeeds);
    draft.happenings.push({ atMs, kind: 'replica', replica, deed });
  } else {
    const { callees, endpoints } = called(draft, words, subject);
    if (words.takes('stands')) {
      const callsPerSecond = words.perSecond('how many calls it can stand');
      for (const callee of callees) draft.happenings.push({ atMs, kind: 'capacity', callee, callsPerSecond });
      return;
    }
    const fate = readFate(words);
    const zone = words.takes('for zone') ? words.next('the zone') : undefined;
    for (const callee of callees)
      draft.happenings.push({ atMs, kind: 'callee', callee, fate, endpoints, zone });
  }
}

/** One after the other, over and over; a phase that would begin at the end or later doesn't. */
function repeat(draft: Draft, words: Words): void {
  const fromMs = words.duration('when it begins');
  if (!words.takes('to')) words.fail(`"to" must follow; got "${words.peek()}"`);
  const toMs = words.duration('when it ends');
  const subject = words.next('whom it happens to');
  if (subject === 'replica') repeatReplica(draft, words, fromMs, toMs);
  else repeatCallee(draft, words, subject, fromMs, toMs);
}

/** `from 1m to 3m inventory dead 3s healthy 3s`; at the end it is healthy. */
function repeatCallee(draft: Draft, words: Words, subject: string, fromMs: number, toMs: number): void {
  const { callees, endpoints } = called(draft, words, subject);
  const one = (atMs: number, fate: Fate) => {
    for (const callee of callees)
      draft.happenings.push({ atMs, kind: 'callee', callee, fate, endpoints, zone: undefined });
  };
  phases(words, fromMs, toMs, () => readFate(words), one);
  one(toMs, { kind: 'healthy' });
}

/** `from 1m to 5m replica 1 drained 5s started 25s` */
function repeatReplica(draft: Draft, words: Words, fromMs: number, toMs: number): void {
  const replica = words.whole('which replica', draft.replicas) - 1;
  const read = () => words.oneOf('what happens', replicaDeeds);
  phases(words, fromMs, toMs, read, (atMs, deed) => {
    draft.happenings.push({ atMs, kind: 'replica', replica, deed });
  });
}

function phases<T>(
  words: Words,
  fromMs: number,
  toMs: number,
  read: () => T,
  happen: (atMs: number, what: T) => void,
): void {
  const list: { what: T; ms: number }[] = [];
  while (!words.done) list.push({ what: read(), ms: words.duration('for how long') });
  let atMs = fromMs;
  for (let i = 0; i < REPEATS_MAX && atMs < toMs; i++) {
    const phase = list[i % list.length];
    if (!phase) words.fail('what happens is missing at the end');
    happen(atMs, phase.what);
    atMs += phase.ms;
  }
}

/** `inventory`, `inventory/3`, `inventory/1..3`, or `all`. */
function called(draft: Draft, words: Words, subject: string) {
  const [name, range] = subject.split('/');
  const callees = draft.callees.filter((callee) => name === 'all' || callee.name === name);
  const first = callees[0];
  if (!first) words.fail(`"${name}" is no callee; a "callee" line before this one must name it`);
  if (range === undefined) return { callees: callees.map((callee) => callee.name), endpoints: undefined };
  const [from = 0, to = from] = range.split('..').map(Number);
  if (!(from >= 1 && to >= from && to <= first.endpoints))
    words.fail(`"${range}" must be an endpoint from 1 to ${first.endpoints}, or two with .. between`);
  return { callees: callees.map((callee) => callee.name), endpoints: [from - 1, to - 1] as const };
}

function readFate(words: Words): Fate {
  const kind = words.oneOf('what happens', ['healthy', 'dead', 'slow', 'fails']);
  if (kind === 'slow') return { kind, ms: words.duration('how slow') };
  if (kind === 'fails') return { kind, rate: words.rate('how many fail') };
  return { kind };
}
