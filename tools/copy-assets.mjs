// Copies what tsc leaves behind (protos and Lua scripts) next to the compiled code that reads them.
import { chmodSync, cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
cpSync(join(root, 'proto/switchgear'), join(root, 'dist/proto/switchgear'), { recursive: true });
const scripts = join(root, 'control-plane/store/scripts');
mkdirSync(join(root, 'dist/control-plane/store/scripts'), { recursive: true });
for (const file of readdirSync(scripts))
  cpSync(join(scripts, file), join(root, 'dist/control-plane/store/scripts', file));
chmodSync(join(root, 'dist/cli/main.js'), 0o755);
