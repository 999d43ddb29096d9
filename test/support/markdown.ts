/**
 * The documents of the repository as tests see them: their code blocks by language with the line they stand on, and their links.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Block {
  /** `README.md:57`. */
  readonly where: string;
  readonly file: string;
  readonly language: string;
  readonly text: string;
}

/** README, CONTRIBUTING and everything in docs/. */
export function documents(): string[] {
  const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
  return ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...docs.sort().map((name) => `docs/${name}`)];
}

export function readDocument(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

export function blocks(file: string, ...languages: readonly string[]): Block[] {
  const found: Block[] = [];
  let open: { language: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of readDocument(file).split('\n').entries()) {
    const fence = /^\s*```(.*)$/.exec(line);
    if (!fence) open?.lines.push(line);
    else if (!open) open = { language: fence[1]?.trim() ?? '', line: index + 1, lines: [] };
    else {
      const { language, lines } = open;
      if (languages.includes(language))
        found.push({ where: `${file}:${open.line}`, file, language, text: lines.join('\n') });
      open = undefined;
    }
  }
  return found;
}

/** Links within the repository that lead nowhere: a file that isn't there, a heading that isn't in it. */
export function brokenLinks(file: string): string[] {
  const text = readDocument(file).replace(/```[\s\S]*?```/g, '');
  const broken: string[] = [];
  for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link)) continue;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? join(root, file) : join(root, dirname(file), path);
    if (!existsSync(target)) broken.push(`${file}: ${link}`);
    else if (anchor !== undefined && !headings(readFileSync(target, 'utf8')).includes(anchor))
      broken.push(`${file}: ${link} (no such heading)`);
  }
  return broken;
}

/** Anchors as GitHub makes them. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-'),
  );
}
