/**
 * Who asks, and whether they may: one answer for REST and for the streams. Without a token book everybody is `anonymous` and
 * may everything (which `listen.ts` allows on loopback only, unless somebody insisted). A refusal says what is missing, never
 * what was presented.
 */
import { MeshError } from '../../core/errors.js';
import type { Identity, Role, TokenBook } from './tokens.js';

/** What a request asks for: `viewer` reads, `operator` writes, `agent` opens a stream. */
export interface Authenticator {
  /** Whether tokens are asked for at all. */
  readonly required: boolean;
  /**
   * The name behind an `authorization` header, if it may act as `role`. Throws `unauthenticated` (no token, or an unknown one)
   * and `permission_denied` (known, but of another role).
   */
  authorize(authorization: string | undefined, role: Role): { readonly name: string };
}

/** The author of what is done where no tokens are asked for. */
export const anonymous = 'anonymous';

export function createAuthenticator(book: TokenBook | undefined): Authenticator {
  if (!book) return { required: false, authorize: () => ({ name: anonymous }) };
  return {
    required: true,
    authorize(authorization, role) {
      const identity = identify(book, authorization);
      if (!may(identity.role, role))
        throw new MeshError(
          'permission_denied',
          `the token of ${identity.name} has the role ${identity.role}; this takes ${takes(role)}`,
        );
      return { name: identity.name };
    },
  };
}

function identify(book: TokenBook, authorization: string | undefined): Identity {
  if (authorization === undefined || authorization === '')
    throw new MeshError('unauthenticated', 'send a token: authorization: Bearer <token>');
  const token = /^bearer +([^\s]+) *$/i.exec(authorization)?.[1];
  if (token === undefined)
    throw new MeshError('unauthenticated', 'the authorization header has to read: Bearer <token>');
  const identity = book.find(token);
  if (!identity) throw new MeshError('unauthenticated', 'nobody has this token; see the token file');
  return identity;
}

function may(has: Role, needs: Role): boolean {
  return has === needs || (has === 'operator' && needs === 'viewer');
}

function takes(role: Role): string {
  return role === 'viewer' ? 'viewer or operator' : role;
}
