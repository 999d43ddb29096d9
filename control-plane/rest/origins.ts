/**
 * Where no tokens are asked for, a web page somewhere must not be able to write through the browser of somebody who happens to
 * reach this address. Browsers name the page's origin with every write, other programs send none: a foreign origin is
 * refused, and on loopback also one whose name an attacker may have pointed here (DNS rebinding). Reading needs no such
 * guard: no answer carries the headers by which a browser would hand it to a foreign page.
 */
import { isIP } from 'node:net';
import { MeshError } from '../../core/errors.js';
import { isLoopback } from '../auth/listen.js';

/** Throws `permission_denied`. `onLoopback`: nothing but loopback is listened on. */
export function refuseForeignOrigin(
  { origin, host = '' }: { readonly origin?: string | undefined; readonly host?: string | undefined },
  onLoopback: boolean,
): void {
  if (origin === undefined) return;
  const page = URL.canParse(origin) ? new URL(origin) : undefined;
  const name = page?.hostname.replace(/^\[|\]$/g, '') ?? '';
  const own = page !== undefined && page.host === host;
  if (own && (!onLoopback || isLoopback(name) || isIP(name) !== 0)) return;
  throw new MeshError(
    'permission_denied',
    'a page of another origin may not ask this; open it by this address, or start the control plane with --token-file',
  );
}
