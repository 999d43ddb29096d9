/**
 * What the package holds: whatever its documents lead to, and nothing that leads out of it.
 */
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect } from 'chai';
import { documents, readDocument, root } from '../support/markdown.js';

const json = (file: string) => JSON.parse(readFileSync(join(root, file), 'utf8'));

/** npm adds these by itself. */
const always = ['README.md', 'LICENSE', 'package.json'];

describe('the package', () => {
  const shipped: readonly string[] = [...json('package.json').files, ...always];

  for (const file of documents())
    it(`holds what ${file} links to`, () => {
      const links = [...readDocument(file).matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map(([, link = '']) => link);
      const missing = links
        .filter((link) => !/^[a-z]+:/.test(link))
        .map((link) => normalize(join(dirname(file), link)))
        .filter((path) => !shipped.some((one) => path === one || path.startsWith(`${one}/`)));
      expect(missing).to.deep.equal([]);
    });

  it('has no maps of sources that it does not hold', () => {
    const { compilerOptions } = json('tsconfig.build.json');
    expect([compilerOptions.sourceMap, compilerOptions.declarationMap]).to.deep.equal([undefined, undefined]);
  });
});
