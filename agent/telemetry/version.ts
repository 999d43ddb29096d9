/** The version of this package, for the scope of its metrics; undefined where a bundler left the manifest behind. */
import { createRequire } from 'node:module';

export function packageVersion(): string | undefined {
  try {
    return (createRequire(import.meta.url)('switchgear/package.json') as { version: string }).version;
  } catch {
    return undefined;
  }
}
