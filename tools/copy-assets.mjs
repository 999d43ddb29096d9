// Copies what tsc leaves behind (protos, Lua scripts, the sample shop's files) next to the compiled code that reads them.
import { chmodSync, cpSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Everything below `folder` that is no code, into the same place under dist/. */
function copy(folder) {
  for (const entry of readdirSync(join(root, folder), { recursive: true })) {
    if (!/\.(proto|lua|yaml)$/.test(entry)) continue;
    const target = join(root, 'dist', folder, entry);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(join(root, folder, entry), target);
  }
}

for (const folder of ['proto', 'control-plane', 'examples']) copy(folder);
chmodSync(join(root, 'dist/cli/main.js'), 0o755);
