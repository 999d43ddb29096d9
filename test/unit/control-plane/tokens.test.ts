/** The token file and the book made of it: what is read, what is refused with which line, and that no message shows a token. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createAuthenticator } from '../../../control-plane/auth/authenticate.js';
import { checkTokens, parseTokens, readTokenFile, TokenBook } from '../../../control-plane/auth/tokens.js';
import { MeshError } from '../../../core/errors.js';

function refusal(run: () => unknown): MeshError {
  try {
    run();
  } catch (error) {
    expect(error).to.be.instanceOf(MeshError);
    return error as MeshError;
  }
  throw new Error('nothing was refused');
}

describe('token file', () => {
  it('reads one token a line, with comments, blanks and foreign line ends', () => {
    const text = '\uFEFF# ours\r\n\r\noperator alice s3cret-a # her laptop\r\n\tviewer  bob\ts3cret-b\n';
    expect(parseTokens(text, 'tokens')).to.deep.equal([
      { role: 'operator', name: 'alice', token: 's3cret-a' },
      { role: 'viewer', name: 'bob', token: 's3cret-b' },
    ]);
  });

  it('names every wrong line at once, and shows no token', () => {
    const text = [
      'operator alice',
      'root bob tok-bob-123',
      'viewer ?? tok-who-123',
      'viewer carol tok"carol',
      'agent fleet tok-fleet-1 and more',
    ].join('\n');
    const error = refusal(() => parseTokens(text, '/etc/tokens'));
    expect(error.code).to.equal('invalid_configuration');
    expect(error.issues?.map(({ path }) => path)).to.deep.equal(
      [1, 2, 3, 4, 5].map((n) => `/etc/tokens:${n}`),
    );
    expect(error.message).to.include('role name token').and.include('viewer, operator, agent');
    expect(error.message).not.to.match(/tok[-"]/);
  });

  it('refuses one token for two names, and two roles for one name', () => {
    const error = refusal(() => parseTokens('viewer a tok-1\nviewer b tok-1\noperator a tok-2\n', 'f'));
    expect(error.issues?.map(({ path }) => path)).to.deep.equal(['f:2', 'f:3']);
  });

  it('allows a name two tokens of one role, so that they can be changed', () => {
    const book = new TokenBook(parseTokens('viewer a tok-1\nviewer a tok-2\n', 'f'));
    expect(book.find('tok-1')).to.deep.equal({ name: 'a', role: 'viewer' });
    expect(book.find('tok-2')).to.deep.equal({ name: 'a', role: 'viewer' });
  });

  it('refuses a file without any token', () => {
    expect(refusal(() => parseTokens('# nothing\n', 'f')).message).to.include('holds no token');
  });

  it('names the file and the flag when it can not be read', async () => {
    const error = await readTokenFile('/nowhere/tokens').catch((thrown) => thrown);
    expect(error.code).to.equal('invalid_configuration');
    expect(error.message).to.include('/nowhere/tokens').and.include('--token-file');
  });

  it('reads a real file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sg-tokens-'));
    try {
      await writeFile(join(directory, 'tokens'), 'agent fleet tok-1\n');
      expect(await readTokenFile(join(directory, 'tokens'))).to.have.length(1);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('holds entries of a program to the same rules', () => {
    expect(refusal(() => checkTokens([])).code).to.equal('invalid_configuration');
    expect(
      refusal(() => checkTokens([{ role: 'viewer', name: 'a b', token: 'x' }])).issues?.[0]?.path,
    ).to.equal('tokens[0]');
  });
});

describe('authenticator', () => {
  const book = new TokenBook(parseTokens('viewer vic tok-v\noperator ona tok-o\nagent fleet tok-a\n', 'f'));
  const { authorize } = createAuthenticator(book);

  it('lets an operator read and write, a viewer only read, an agent neither', () => {
    expect(authorize('Bearer tok-o', 'viewer')).to.deep.equal({ name: 'ona' });
    expect(authorize('bearer  tok-o ', 'operator')).to.deep.equal({ name: 'ona' });
    expect(authorize('Bearer tok-v', 'viewer')).to.deep.equal({ name: 'vic' });
    expect(refusal(() => authorize('Bearer tok-v', 'operator')).code).to.equal('permission_denied');
    expect(refusal(() => authorize('Bearer tok-a', 'viewer')).code).to.equal('permission_denied');
  });

  it('lets only an agent open a stream', () => {
    expect(authorize('Bearer tok-a', 'agent')).to.deep.equal({ name: 'fleet' });
    expect(refusal(() => authorize('Bearer tok-o', 'agent')).code).to.equal('permission_denied');
  });

  it('refuses a missing, malformed or unknown token without repeating it', () => {
    for (const header of [undefined, '', 'Basic tok-o', 'Bearer', 'Bearer a b', 'Bearer tok-x']) {
      const error = refusal(() => authorize(header, 'viewer'));
      expect(error.code).to.equal('unauthenticated');
      expect(error.message).not.to.include('tok-');
    }
  });

  it('lets everybody in as anonymous where no tokens are asked for', () => {
    const open = createAuthenticator(undefined);
    expect(open.required).to.equal(false);
    expect(open.authorize('Bearer whatever', 'operator')).to.deep.equal({ name: 'anonymous' });
  });
});
