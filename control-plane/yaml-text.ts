/**
 * YAML to plain values, with the line of each. The library's parser takes far more than linear time for deeply nested text, and
 * much memory for long text full of errors; so the text is first only lexed (linear), and refused if it nests deeper or a
 * document is longer than any policy can be. Refused too is what would mislead a reader: keys that are there twice, unknown
 * tags, aliases that unfold without end. Never throws.
 */
import {
  Composer,
  CST,
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  Parser,
} from 'yaml';
import { messageOf } from '../core/errors.js';
import { DEPTH_MAX, DOCUMENT_BYTES_MAX, type Path, pathOf, quoted } from '../core/policy/plain.js';

/** One document of a text: its value, or what is wrong with it. */
export interface TextDocument {
  readonly value: unknown;
  readonly faults: readonly TextFault[];
  /** Line of what is at this path, or of the nearest thing around it; undefined: the form has no lines worth telling. */
  lineOf(path: string): number | undefined;
}

export interface TextFault {
  readonly path: string;
  readonly message: string;
  readonly line: number | undefined;
}

/** Comments and blanks are no part of a document, but of its text. */
const DOCUMENT_TEXT_MAX = 2 * DOCUMENT_BYTES_MAX;
/** What one write may hold (see the store); empty ones count. */
export const DOCUMENTS_MAX = 1_000;
const ALIASES_MAX = 100;
const FAULTS_MAX = 100;

/** The documents that aren't empty. Ends at the first malformed one: what follows may be a part of it. */
export function readYaml(text: string): TextDocument[] {
  const excess = excessOf(text);
  if (excess) return [faulty([excess])];
  const documents: TextDocument[] = [];
  try {
    for (const { document, lines } of composed(text)) {
      if (isEmpty(document)) continue;
      documents.push(read(document, lines));
      if (document.errors.length > 0) break;
    }
  } catch (error) {
    // Not known to happen; text from outside must not decide that.
    documents.push(faulty([{ path: '', message: `can't be read: ${messageOf(error)}`, line: undefined }]));
  }
  return documents;
}

function* composed(text: string): IterableIterator<{ document: Document.Parsed; lines: LineCounter }> {
  const lines = new LineCounter();
  const composer = new Composer({ uniqueKeys: false, prettyErrors: false, logLevel: 'silent' });
  for (const token of new Parser(lines.addNewLine).parse(text))
    for (const document of composer.next(token)) yield { document, lines };
  for (const document of composer.end()) yield { document, lines };
}

function isEmpty({ contents, errors }: Document.Parsed): boolean {
  return errors.length === 0 && (contents === null || (isScalar(contents) && contents.value === null));
}

function read(document: Document.Parsed, lines: LineCounter): TextDocument {
  const lineAt = (offset: number) => lines.linePos(offset).line;
  const malformed = [...document.errors, ...document.warnings].map(({ message, pos }) => ({
    path: '',
    message: hinted(message),
    line: lineAt(pos[0]),
  }));
  if (malformed.length > 0) return faulty(malformed);
  const { contents } = document;
  const faults = [...repeatedKeys(contents)].map(({ path, offset }) => ({
    path: pathOf(path),
    message: `${quoted(String(path.at(-1)))} is there twice`,
    line: lineAt(offset),
  }));
  try {
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    return { value, faults: faults.slice(0, FAULTS_MAX), lineOf: lineFinder(contents, lines) };
  } catch (error) {
    return faulty([{ path: '', message: messageOf(error), line: lineAt(offsetOf(contents)) }]);
  }
}

/** The one mistake that everybody makes once: in YAML a bare asterisk begins an alias. */
function hinted(message: string): string {
  return message.startsWith('Alias cannot be an empty') ? 'a bare * is an alias in YAML; write "*"' : message;
}

function faulty(faults: readonly TextFault[]): TextDocument {
  return { value: undefined, faults: faults.slice(0, FAULTS_MAX), lineOf: () => undefined };
}

/** Nesting, length or number that nobody needs, told from the tokens alone. */
function excessOf(text: string): TextFault | undefined {
  let line = 1;
  let brackets = 0;
  let indicators = 0;
  let length = 0;
  let documents = 0;
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    if (type === 'doc-start') {
      documents++;
      length = 0;
    } else {
      length += token.length;
    }
    if (type === 'newline') indicators = 0;
    else if (type === 'seq-item-ind' || type === 'explicit-key-ind') indicators++;
    else if (type === 'flow-map-start' || type === 'flow-seq-start') brackets++;
    else if (type === 'flow-map-end' || type === 'flow-seq-end') brackets--;
    if (brackets > DEPTH_MAX || indicators > DEPTH_MAX)
      return { path: '', line, message: `nested too deeply; at most ${DEPTH_MAX} levels` };
    if (length > DOCUMENT_TEXT_MAX)
      return { path: '', line, message: `is too large; at most ${DOCUMENT_TEXT_MAX / 1024} KiB a document` };
    if (documents > DOCUMENTS_MAX)
      return { path: '', line, message: `must hold at most ${DOCUMENTS_MAX} documents` };
    line += newlines(token);
  }
  return undefined;
}

function newlines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  return count;
}

interface Place {
  readonly node: unknown;
  readonly path: Path;
  /** Of the key, if it has one. */
  readonly offset: number;
}

/** Everything in a document as it is written (aliases aren't followed), down to the depth that a policy may have. */
function* places(node: unknown, path: Path = [], offset = offsetOf(node)): IterableIterator<Place> {
  yield { node, path, offset };
  if (path.length >= DEPTH_MAX) return;
  if (isMap(node))
    for (const { key, value } of node.items) yield* places(value, [...path, nameOf(key)], offsetOf(key));
  else if (isSeq(node))
    for (const [i, item] of node.items.entries()) yield* places(item, [...path, i], offsetOf(item));
}

function* repeatedKeys(contents: unknown): IterableIterator<{ path: Path; offset: number }> {
  for (const { node, path } of places(contents)) {
    if (!isMap(node)) continue;
    const seen = new Set<string>();
    for (const { key } of node.items) {
      const name = nameOf(key);
      if (seen.has(name)) yield { path: [...path, name], offset: offsetOf(key) };
      seen.add(name);
    }
  }
}

function nameOf(key: unknown): string {
  return String(isScalar(key) ? key.value : key);
}

function offsetOf(node: unknown): number {
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}

/** Line of a path: of what is there, or of the nearest thing around it. Listed once, when the first fault asks. */
function lineFinder(contents: unknown, lines: LineCounter): (path: string) => number {
  let offsets: Map<string, number> | undefined;
  return (path) => {
    if (!offsets) {
      offsets = new Map();
      for (const place of places(contents)) offsets.set(pathOf(place.path), place.offset);
    }
    let at = path;
    while (at !== '' && !offsets.has(at)) at = at.replace(/(?:^|\.)[^.[\]]+$|\[[^[\]]*\]$|.$/, '');
    return lines.linePos(offsets.get(at) ?? 0).line;
  };
}
