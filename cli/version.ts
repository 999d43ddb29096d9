/** The version of this package, read from its own manifest by its own name, wherever the build put this file. */
import { createRequire } from 'node:module';

export function packageVersion(): string {
  const manifest = createRequire(import.meta.url)('switchgear/package.json') as { version: string };
  return manifest.version;
}
