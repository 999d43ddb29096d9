/**
 * The variables that the SDK reads, and those that look as if they should be read: one that is misspelt does nothing, and nobody
 * notices before the day on which it was needed.
 */
import { nearest } from '../core/policy/names.js';

const PREFIX = 'SWITCHGEAR_';

const ours = [
  'SERVICE',
  'CONTROL_PLANE',
  'ZONE',
  'VERSION',
  'INSTANCE',
  'SNAPSHOT',
  'TLS',
  'TLS_CA',
  'TLS_CERT',
  'TLS_KEY',
  'TLS_SERVER_NAME',
  'TOKEN',
  'DISABLED',
];

/** Of the command line, as near to one of ours as a misspelt one would be. */
const theirs = ['SERVER'];

/** Orchestrators set `SWITCHGEAR_SERVICE_HOST` and its like for a service of that name: further away than a slip of the hand. */
const EDITS_MAX = 2;

export interface Misspelt {
  readonly variable: string;
  readonly meant: string;
}

export function misspelt(env: { readonly [name: string]: string | undefined }): readonly Misspelt[] {
  const found: Misspelt[] = [];
  for (const variable of Object.keys(env)) {
    if (!variable.startsWith(PREFIX)) continue;
    const name = variable.slice(PREFIX.length);
    if (ours.includes(name) || theirs.includes(name)) continue;
    const meant = nearest(name, ours, EDITS_MAX);
    if (meant !== undefined) found.push({ variable, meant: PREFIX + meant });
  }
  return found;
}
