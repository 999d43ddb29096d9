/**
 * What docs/policies.md says of each section and each kind of call: its table, read from the document, and what the words in it mean,
 * as tests observe it. Whoever changes a cell changes its meaning here, and so sees what the tests then ask for.
 */
import type { CallKind } from './kinds.js';
import { readDocument } from './markdown.js';

const HEADING = '## Sections and kinds of calls';
const columns: Record<CallKind, number> = {
  unary: 1,
  'client stream': 1,
  'server stream': 2,
  'bidi stream': 2,
};

/** By the words of its first cell, without backticks. */
function rows(): Map<string, readonly string[]> {
  const text = readDocument('docs/policies.md');
  const lines = text.slice(text.indexOf(HEADING)).split('\n');
  const table = lines.slice(lines.findIndex((line) => line.startsWith('|')));
  const found = new Map<string, readonly string[]>();
  for (const line of table) {
    if (!line.startsWith('|')) break;
    const cells = line.split('|').slice(1, -1);
    const [first = '', ...rest] = cells.map((cell) => cell.trim().replaceAll('`', ''));
    found.set(first, [first, ...rest]);
  }
  return found;
}

const table = rows();

/** The sections that are enforced for calls into a service, as docs/policies.md has it. */
export function inboundSections(): readonly string[] {
  const said = /^- Policies to \*\*`self`\*\* are about calls into the service: (.+?) are enforced,/m;
  const [, words = ''] = said.exec(readDocument('docs/policies.md')) ?? [];
  return [...words.matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
}

/** The rows that are there, but the heading and what is under it. */
export function tableRows(): readonly string[] {
  return [...table.keys()].filter((name) => name !== '' && name !== '---');
}

/**
 * The words for this kind of call. Where a cell tells kinds apart (`unary: …; client stream: …`), its own part; `the same` is what
 * stands left of it. Throws where there is no such row.
 */
export function wordsOf(row: string, kind: CallKind): string {
  const cells = table.get(row);
  if (!cells) throw new Error(`the table of docs/policies.md has no row "${row}"`);
  const cell = cells[columns[kind]] === 'the same' ? cells[1] : cells[columns[kind]];
  const parts = (cell ?? '').split('; ');
  const [short = ''] = kind.split(' ');
  const own = parts.find((part) => part.startsWith(`${kind}: `) || part.startsWith(`${short}: `));
  if (own) return own.slice(own.indexOf(': ') + 2);
  // The other part of a cell that names one kind alone is about the rest.
  const others = parts.filter((part) => !/^[a-z]+( stream)?: /.test(part));
  return others.join('; ');
}

/** What the words of a cell mean, by row. */
const meanings: { readonly [row: string]: { readonly [words: string]: string } } = {
  timeout: {
    'the whole call, waiting in line included': 'ends the whole',
    'until the first response message': 'ends what has no message',
  },
  attemptTimeout: {
    'from admission to the status': 'ends the whole',
    'from admission to the first response message': 'ends what has no message',
  },
  streamTimeout: { 'the whole call': 'ends the whole', '–': 'nothing' },
  'circuit: when it counts': {
    'at the status': 'failed',
    'at the first response message, or at the status if that comes first':
      'succeeded, failed without a message',
  },
  'circuit: what is slow': {
    'admission to status': 'slow',
    'admission to first response message': 'not slow',
  },
  'a half-open probe': {
    'is over when it counts': 'half-open, then closed',
    'is over when it counts, though the stream goes on': 'closed, then closed',
  },
  bulkhead: {
    'a slot from admission to status': 'held to the status',
    'a slot from admission to status, however long the stream is': 'held to the status',
  },
  'the caller cancels': {
    'counts neither way, frees the slot at once': 'neutral, free',
    'before the first message neither way; frees the slot at once': 'neutral, free',
  },
  'over its time': {
    'DEADLINE_EXCEEDED, a failure of the callee': 'failed',
    'DEADLINE_EXCEEDED, a failure if no message had come': 'succeeded, failed without a message',
  },
  'rateLimit, admission': {
    'at each attempt': 'one for each attempt',
    'at each attempt; once for a stream, however long': 'one for each attempt',
  },
  retry: {
    'until response headers have come': '3, 1 after headers',
    'a request that streams is sent once': '1, 1 after headers',
    'sent once': '1, 1 after headers',
  },
  hedge: { '–': '1 attempt' },
  classify: {
    'the status': 'failed',
    'the status, if no message came': 'succeeded, failed without a message',
  },
  fallback: {
    'every kind': 'error static cache handler target',
    'error alone': 'error',
    'error alone, and only before response headers have come': 'error, none after headers',
  },
  criticality: { 'from metadata switchgear-criticality, or inherited; sent on': 'sheddable' },
  'turned away': { 'a status with switchgear-reject, nothing sent': 'told, not sent' },
  'match.method': { 'by pkg.Service/Method': 'this method alone' },
};
/** Of `a policy in shadow` there is a matrix of its own. */
export const elsewhere = ['a policy in shadow'];

/** Throws where the words aren't known here. */
export function meaningOf(row: string, kind: CallKind): string {
  const words = wordsOf(row, kind);
  if (words === 'unary alone') return kind === 'unary' ? '2 attempts' : '1 attempt';
  const meaning = meanings[row]?.[words];
  if (meaning === undefined) throw new Error(`nothing is known of "${words}" for ${row}`);
  return meaning;
}
