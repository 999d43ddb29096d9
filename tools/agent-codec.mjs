// Writes proto/generated/agent-codec.ts: what protobufjs makes of agents.proto when a program starts, made beforehand. An agent needs
// neither the loader nor its parser then, which cost the service a tenth of a second and several MB. A test holds it to the proto.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const PROTO = fileURLToPath(new URL('../proto/switchgear/v1/agents.proto', import.meta.url));
const TARGET = fileURLToPath(new URL('../proto/generated/agent-codec.ts', import.meta.url));

const { encoder, decoder, converter, Type } = protobuf;
/** What each direction needs of a type, as proto-loader's serializers call it. */
const OUT = { fromObject: converter.fromObject, encode: encoder };
const IN = { decode: decoder, toObject: converter.toObject };

const HEAD = `// Made by tools/agent-codec.mjs of switchgear/v1/agents.proto; \`npm run generate\` makes it anew.
// @ts-nocheck
import protobuf from 'protobufjs/minimal.js';

const { Reader, Writer, util } = protobuf;
`;

/** The types below `root`, those first that others are made of. */
function below(root, found = new Set()) {
  if (found.has(root)) return found;
  for (const field of root.fieldsArray) {
    const { resolvedType } = field.resolve();
    if (resolvedType instanceof Type) below(resolvedType, found);
  }
  return found.add(root);
}

const nameOf = (type) => (type instanceof Type ? type.fullName.split('.').slice(3).join('_') : 'undefined');

async function agentCodec() {
  const root = await new protobuf.Root().load(PROTO);
  root.resolveAll();
  const method = root.lookupService('switchgear.v1.Agents').methods.Session;
  const needs = new Map();
  const add = (type, functions) => {
    for (const each of below(type)) needs.set(each, { ...needs.get(each), ...functions });
  };
  add(method.resolvedRequestType, OUT);
  add(method.resolvedResponseType, IN);
  const types = [...needs].map(([type, functions]) => {
    const its = type.fieldsArray.map(({ resolvedType }) => nameOf(resolvedType)).join(', ');
    const parts = Object.entries(functions).map(([name, make]) => `${name}: ${make(type)},`);
    return `const ${nameOf(type)} = ((types) => ({\nctor: ${Type.generateConstructor(type)},\n${parts.join('\n')}\n}))([${its}]);\n`;
  });
  const [asked, answered] = [method.resolvedRequestType, method.resolvedResponseType].map(nameOf);
  const tail = `export const path = '/switchgear.v1.Agents/Session';
export const serialize = (value: object): Buffer => ${asked}.encode(${asked}.fromObject(value)).finish();
export const deserialize = (bytes: Buffer, options: object): object => ${answered}.toObject(${answered}.decode(bytes), options);
`;
  return [HEAD, ...types, tail].join('\n');
}

const text = await agentCodec();
if (process.argv.includes('--print')) process.stdout.write(text);
else writeFileSync(TARGET, text);
