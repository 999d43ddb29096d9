/**
 * Why the store does not answer, as health shows it: the error's words without its code, which would only be put before it
 * again by whoever is refused for that reason.
 */
import { messageOf } from '../../core/errors.js';

export function reasonOf(error: unknown): string {
  return messageOf(error).replace(/^\[[a-z_]+\] /, '');
}
