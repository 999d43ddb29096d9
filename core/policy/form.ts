/**
 * Forms: what a document must be, put together from small ones, as a schema library has them. A form reads plain values into what the
 * program works with, names each thing that is wrong with its place and what would be right, and says itself as JSON Schema. An agent
 * reads policies with them at the start of its service, so they cost nothing to import and next to nothing to build: zod, which this
 * replaced here, took 40 ms and 2 MB of every service. Never throws; what it reads must be plain (`plainCopy`, or `JSON.parse`).
 */
import { isRecord, type Path } from './plain.js';

/** Something that is wrong, at its place below the value that was read. */
export interface Wrong {
  readonly path: Path;
  readonly message: string;
  /** `type`: nothing of the value there is what was meant; `unknown`: nobody knows a field of this name. */
  readonly kind?: 'type' | 'unknown';
}

/** What would be right instead of this value. */
export type Right = (value: unknown) => string;

/** Looks at what was read; it may be wrong in parts, and such a part is as it was written. */
export type Check = (value: unknown, wrong: (path: Path, message: string) => void, strange: boolean) => void;

export type JsonSchema = { readonly [keyword: string]: unknown };

interface Parts {
  /** Adds to `wrong`; what it answers counts only where nothing was added. */
  readonly read: (value: unknown, wrong: Wrong[]) => unknown;
  readonly schema: () => JsonSchema;
  readonly optional?: boolean;
  /** Instead of nothing, as somebody would write it. */
  readonly usual?: unknown;
  readonly description?: string;
}

/** `T`: what is read. `Optional`: whether it may be absent as a field. */
export class Form<out T, Optional extends boolean = false> {
  /** Only for types. */
  declare readonly value: T;
  declare readonly mayBeAbsent: Optional;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get isOptional(): boolean {
    return this.#parts.optional === true;
  }

  get hasUsual(): boolean {
    return this.#parts.usual !== undefined;
  }

  /** The value, and what is wrong with it; where that is anything, the value is none. */
  read(value: unknown): { readonly value: T | undefined; readonly wrong: readonly Wrong[] } {
    const wrong: Wrong[] = [];
    const read = this.into(value, wrong);
    return { value: wrong.length === 0 ? (read as T) : undefined, wrong };
  }

  /** For forms that have this one as a part. */
  into(value: unknown, wrong: Wrong[]): unknown {
    return this.#parts.read(value, wrong);
  }

  /** Of what is written, in draft 2020-12. */
  jsonSchema(): JsonSchema {
    const { schema, usual, description } = this.#parts;
    return {
      ...schema(),
      ...(usual === undefined ? {} : { default: usual }),
      ...(description === undefined ? {} : { description }),
    };
  }

  /** The field may be absent, and is then absent in what is read. */
  optional(): Form<T, true> {
    return new Form({ ...this.#parts, optional: true });
  }

  nullable(): Form<T | null, Optional> {
    const { read, schema } = this.#parts;
    return new Form({
      ...this.#parts,
      read: (value, wrong) => (value === null ? null : read(value, wrong)),
      schema: () => ({ anyOf: [schema(), { type: 'null' }] }),
    });
  }

  /** Where nothing is written, this is read; once, since nobody changes what was read. */
  usually(written: unknown): Form<T, Optional> {
    const { read } = this.#parts;
    let known: { readonly value: unknown } | undefined;
    const usual = (wrong: Wrong[]) => {
      known ??= { value: read(written, wrong) };
      return known.value;
    };
    return new Form({
      ...this.#parts,
      usual: written,
      read: (value, wrong) => (value === undefined ? usual(wrong) : read(value, wrong)),
    });
  }

  describe(description: string): Form<T, Optional> {
    return new Form({ ...this.#parts, description });
  }

  /** Of what was read without a fault. */
  transform<U>(made: (value: T) => U): Form<U, Optional> {
    const { read } = this.#parts;
    return new Form({
      ...this.#parts,
      read: (value, wrong) => {
        const before = wrong.length;
        const its = read(value, wrong);
        return wrong.length === before ? made(its as T) : its;
      },
    });
  }

  /** Runs also where parts are wrong, so that one answer names all. */
  check(check: Check): Form<T, Optional> {
    const { read } = this.#parts;
    return new Form({
      ...this.#parts,
      read: (value, wrong) => {
        const before = wrong.length;
        const its = read(value, wrong);
        const strange = wrong.slice(before).some(({ kind, path }) => kind === 'unknown' && path.length === 1);
        check(its, (path, message) => void wrong.push({ path, message }), strange);
        return its;
      },
    });
  }
}

/** What a form reads. */
export type Read<F> = F extends Form<infer T, boolean> ? T : never;

export type Fields = { readonly [name: string]: Form<unknown, boolean> };

type Flat<T> = { [K in keyof T]: T[K] };
type ReadFields<S extends Fields> = Flat<
  { [K in keyof S as S[K] extends Form<unknown, true> ? never : K]: Read<S[K]> } & {
    [K in keyof S as S[K] extends Form<unknown, true> ? K : never]?: Read<S[K]>;
  }
>;

/** A value of this type is read on by `read`, and is itself without it; of another one `right` says what would be. */
export function formOf<V, T = V>(
  is: (value: unknown) => value is V,
  right: Right,
  schema: () => JsonSchema,
  read?: (value: V, wrong: Wrong[]) => unknown,
): Form<T> {
  return new Form({
    read: (value, wrong) => {
      if (is(value)) return read ? read(value, wrong) : value;
      wrong.push({ path: [], message: right(value), kind: 'type' });
      return value;
    },
    schema,
  });
}

/** Looks through below a key: what is wrong there has the key before its path. */
function below(form: Form<unknown, boolean>, key: PropertyKey, value: unknown, wrong: Wrong[]): unknown {
  const before = wrong.length;
  const its = form.into(value, wrong);
  for (let i = before; i < wrong.length; i++) {
    const one = wrong[i] as Wrong;
    wrong[i] = { ...one, path: [key, ...one.path] };
  }
  return its;
}

/** `unknown` says what is wrong with fields of other names; without it they are passed over. */
export function fieldsOf<const S extends Fields>(
  fields: S,
  right: Right,
  unknown?: (key: string, count: number) => string,
): Form<ReadFields<S>> {
  const known = Object.entries(fields);
  const schema = () => ({
    type: 'object',
    properties: Object.fromEntries(known.map(([name, form]) => [name, form.jsonSchema()])),
    ...requiredOf(known),
    ...(unknown ? { additionalProperties: false } : {}),
  });
  return formOf(isRecord, right, schema, (value, wrong) => {
    const its: Record<string, unknown> = {};
    for (const [name, form] of known) {
      const written = Object.hasOwn(value, name) ? value[name] : undefined;
      if (written === undefined && form.isOptional) continue;
      its[name] = below(form, name, written, wrong);
    }
    if (!unknown) return its;
    let count = 0;
    for (const key of Object.keys(value))
      if (!Object.hasOwn(fields, key))
        wrong.push({ path: [key], message: unknown(key, count++), kind: 'unknown' });
    return its;
  });
}

function requiredOf(known: readonly (readonly [string, Form<unknown, boolean>])[]): JsonSchema {
  const required = known.flatMap(([name, form]) => (form.isOptional || form.hasUsual ? [] : [name]));
  return required.length === 0 ? {} : { required };
}

/** An object with any names, each with such a value. */
export function mapOf<T>(values: Form<T, boolean>, right: Right): Form<Record<string, T>> {
  const schema = () => ({
    type: 'object',
    propertyNames: { type: 'string' },
    additionalProperties: values.jsonSchema(),
  });
  return formOf(isRecord, right, schema, (value, wrong) => {
    const its: Record<string, unknown> = {};
    for (const key of Object.keys(value))
      if (key !== '__proto__') its[key] = below(values, key, value[key], wrong);
    return its;
  });
}

/** Bounds of a length, each with what is said beyond it. */
export interface Lengths {
  readonly least?: readonly [count: number, message: string];
  readonly most?: readonly [count: number, message: string];
}

export function listOf<T>(items: Form<T, boolean>, right: Right, lengths: Lengths = {}): Form<readonly T[]> {
  const { least, most } = lengths;
  const schema = () => ({
    type: 'array',
    items: items.jsonSchema(),
    ...(least && { minItems: least[0] }),
    ...(most && { maxItems: most[0] }),
  });
  return formOf(Array.isArray, right, schema, (value: readonly unknown[], wrong) => {
    if (most && value.length > most[0]) {
      // Nor is anything of them looked at.
      wrong.push({ path: [], message: most[1] });
      return undefined;
    }
    if (least && value.length < least[0]) wrong.push({ path: [], message: least[1] });
    return value.map((item, i) => below(items, i, item, wrong));
  });
}

/** The first of these that it is; where it is none, the faults of the one whose type is right say more than `right`. */
export function either<const F extends readonly Form<unknown>[]>(
  forms: F,
  right: Right,
): Form<Read<F[number]>> {
  return new Form({
    read: (value, wrong) => {
      const found: Wrong[][] = [];
      for (const form of forms) {
        const its: Wrong[] = [];
        const read = form.into(value, its);
        if (its.length === 0) return read;
        found.push(its);
      }
      const meant = found.find((its) => !its.some(({ path, kind }) => path.length === 0 && kind === 'type'));
      wrong.push(...(meant ?? [{ path: [], message: right(value) }]));
      return value;
    },
    schema: () => ({ anyOf: forms.map((form) => form.jsonSchema()) }),
  });
}

/** Made when it is first needed: most documents have few of the parts that they may have. */
export function later<T>(make: () => Form<T>): Form<T> {
  let made: Form<T> | undefined;
  const form = () => {
    made ??= make();
    return made;
  };
  return new Form({
    read: (value, wrong) => form().into(value, wrong),
    schema: () => form().jsonSchema(),
  });
}

export function anything(): Form<unknown> {
  return new Form({ read: (value) => value, schema: () => ({}) });
}
