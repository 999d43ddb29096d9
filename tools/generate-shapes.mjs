// Writes proto/generated/agents.ts: the messages of agents.proto as tables that `proto/wire.ts` reads and writes by, so that an agent
// needs neither the loader nor its parser. A test holds it to the proto.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const PROTO = fileURLToPath(new URL('../proto/switchgear/v1/agents.proto', import.meta.url));
const TARGET = fileURLToPath(new URL('../proto/generated/agents.ts', import.meta.url));

const HEAD = `/** Made by tools/generate-shapes.mjs of switchgear/v1/agents.proto; \`npm run generate\` makes it anew. */
import { type Shape, shape } from '../wire.js';
`;

const empty = { string: "''", bytes: 'Buffer.alloc(0)', bool: 'false', uint32: '0', uint64: '0' };
const isMessage = (type) => type instanceof protobuf.Type;

/** The types below `root`, those first that others are made of. */
function below(root, found = new Set()) {
  if (found.has(root)) return found;
  for (const field of root.fieldsArray) {
    const { resolvedType } = field.resolve();
    if (isMessage(resolvedType)) below(resolvedType, found);
    else if (!(field.type in empty) || field.map)
      throw new Error(`${field.fullName}: no table for ${field.type}`);
  }
  return found.add(root);
}

function shapeOf(type) {
  const oneOf = type.oneofsArray.length > 0;
  const blank = type.fieldsArray.map((field) => {
    if (field.repeated) return `${field.name}: []`;
    return `${field.name}: ${isMessage(field.resolvedType) ? 'null' : empty[field.type]}`;
  });
  const fields = type.fieldsArray.map(({ id, name, type: kind, resolvedType, repeated }) => {
    const its = isMessage(resolvedType) ? resolvedType.name : `'${kind}'`;
    return `  [${id}, '${name}', ${its}${repeated ? ', true' : ''}],`;
  });
  const made = oneOf ? '{}' : `{ ${blank.join(', ')} }`.replace('{  }', '{}');
  return `export const ${type.name}: Shape = shape(() => (${made}), [\n${fields.join('\n')}\n]);\n`;
}

const root = await new protobuf.Root().load(PROTO);
root.resolveAll();
const service = root.lookupService('switchgear.v1.Agents');
const { Session } = service.methods;
const types = below(Session.resolvedResponseType, below(Session.resolvedRequestType));
const path = `export const sessionPath = '/${service.fullName.slice(1)}/${Session.name}';\n`;
const text = [HEAD, path, ...[...types].map(shapeOf)].join('\n');
if (process.argv.includes('--print')) process.stdout.write(text);
else writeFileSync(TARGET, text);
