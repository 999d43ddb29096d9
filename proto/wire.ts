/**
 * The wire format of protocol buffers, as much of it as `agents.proto` uses: messages, lists, text, bytes, booleans and unsigned
 * numbers up to 2^53. It reads and writes by tables that are made of the proto (`generated/agents.ts`), gives every field a value as
 * the loader does with `defaults`, and names the member of a oneof in `message`. An agent loads it in a tenth of the time and memory
 * of the loader and its parser. Fields nobody knows are passed over; so is one that is not of the type it should be.
 */

export type Kind = 'string' | 'bytes' | 'bool' | 'uint32' | 'uint64';

/** A message: what it is before anything of it is read, and its fields. */
export interface Shape {
  readonly blank: () => object;
  readonly fields: readonly Field[];
  /** By number. */
  readonly byId: readonly (Field | undefined)[];
  /** One of its fields at a time. */
  readonly oneOf: boolean;
}

interface Field {
  readonly id: number;
  readonly name: string;
  readonly kind: Kind | Shape;
  readonly repeated: boolean;
  /** That it should have. */
  readonly wireType: number;
}

/** What Node has for `toString('utf8', from, to)` behind its checks. */
type Bytes = Buffer & { utf8Slice(from: number, to: number): string };

type Message = Record<string, unknown>;

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

export function shape(
  blank: () => object,
  rows: readonly (readonly [id: number, name: string, kind: Kind | Shape, repeated?: true])[],
): Shape {
  const fields = rows.map(([id, name, kind, repeated = false]) => {
    const number = typeof kind === 'string' && kind !== 'string' && kind !== 'bytes';
    return { id, name, kind, repeated, wireType: number ? VARINT : DELIMITED };
  });
  const byId: (Field | undefined)[] = [];
  for (const field of fields) byId[field.id] = field;
  return { blank, fields, byId, oneOf: fields.length > 0 && Object.keys(blank()).length === 0 };
}

/** Throws an Error in words for bytes that are no message at all. */
export function decode(shape: Shape, bytes: Uint8Array): object {
  return new Reader(bytes).message(shape, bytes.length);
}

/** Fields that are absent or as in a blank message are left out. */
export function encode(shape: Shape, value: object): Buffer {
  return writer.whole(shape, value as Message);
}

/** Short texts that were read last, each where its bytes put it; a power of two. */
const KNOWN_TEXTS = 1_024;
const KNOWN_LENGTH_MAX = 48;
const knownTexts: string[] = new Array<string>(KNOWN_TEXTS).fill('');

class Reader {
  readonly #bytes: Bytes;
  #at = 0;

  constructor(bytes: Uint8Array) {
    const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#bytes = buffer as Bytes;
  }

  message(shape: Shape, end: number): object {
    const message = shape.blank() as Message;
    while (this.#at < end) {
      const tag = this.#varint(end);
      const field = tag < 1024 ? shape.byId[tag >>> 3] : undefined;
      if (!field || !this.#field(message, field, tag & 7, shape.oneOf, end)) this.#skip(tag & 7, end);
    }
    return message;
  }

  /** Answers whether it is of the type that it should be; nothing is read where it isn't. */
  #field(message: Message, field: Field, type: number, oneOf: boolean, end: number): boolean {
    const { name, kind, repeated } = field;
    if (type !== field.wireType) {
      if (!repeated || type !== DELIMITED) return false;
      const until = this.#length(end);
      while (this.#at < until) (message[name] as unknown[]).push(this.#scalar(kind as Kind, until));
      return true;
    }
    const value = typeof kind === 'string' ? this.#scalar(kind, end) : this.message(kind, this.#length(end));
    if (repeated) (message[name] as unknown[]).push(value);
    else {
      if (oneOf) {
        if (message.message !== undefined) delete message[message.message as string];
        message.message = name;
      }
      message[name] = value;
    }
    return true;
  }

  #scalar(kind: Kind, end: number): unknown {
    if (kind === 'string') {
      const until = this.#length(end);
      const text = this.#text(this.#at, until);
      this.#at = until;
      return text;
    }
    if (kind === 'bytes') {
      const until = this.#length(end);
      const bytes = this.#bytes.subarray(this.#at, until);
      this.#at = until;
      return bytes;
    }
    const number = this.#varint(end);
    if (kind === 'bool') return number !== 0;
    return kind === 'uint32' ? number >>> 0 : number;
  }

  /** Names, methods, addresses, capabilities: most come again and again, and are not made again. */
  #text(from: number, until: number): string {
    const length = until - from;
    if (length === 0) return '';
    if (length > KNOWN_LENGTH_MAX) return this.#bytes.utf8Slice(from, until);
    let hash = length;
    for (let at = from; at < until; at++) {
      const byte = this.#bytes[at] as number;
      if (byte > 127) return this.#bytes.utf8Slice(from, until);
      hash = Math.imul(hash ^ byte, 0x01000193);
    }
    const slot = (hash ^ (hash >>> 15)) & (KNOWN_TEXTS - 1);
    const known = knownTexts[slot] as string;
    if (known.length === length && this.#is(known, from)) return known;
    const text = this.#bytes.utf8Slice(from, until);
    knownTexts[slot] = text;
    return text;
  }

  #is(text: string, from: number): boolean {
    for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== this.#bytes[from + i]) return false;
    return true;
  }

  /** The end of what is as long as is written here. */
  #length(end: number): number {
    const until = this.#varint(end);
    if (this.#at + until > end) throw new Error(`a field ends behind the message, at byte ${this.#at}`);
    return this.#at + until;
  }

  #varint(end: number): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 10; i++) {
      if (this.#at >= end) throw new Error(`it ends within a number, at byte ${this.#at}`);
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
    throw new Error(`a number is longer than ten bytes, at byte ${this.#at}`);
  }

  #skip(type: number, end: number): void {
    if (type === VARINT) this.#varint(end);
    else if (type === DELIMITED) this.#at = this.#length(end);
    else if (type === FIXED64) this.#at += 8;
    else if (type === FIXED32) this.#at += 4;
    else throw new Error(`a field of the unknown wire type ${type}, at byte ${this.#at}`);
    if (this.#at > end) throw new Error(`a field ends behind the message, at byte ${end}`);
  }
}

const FIRST_BYTES = 8_192;
/** A larger one is given up before the next use. */
const KEPT_BYTES_MAX = 262_144;

/** Writes from the end to the beginning, so that the length of a part is known when it has to be written. */
class Writer {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #at = FIRST_BYTES;

  whole(shape: Shape, message: Message): Buffer {
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
    this.#at = this.#bytes.length;
    this.message(shape, message);
    return Buffer.from(this.#bytes.subarray(this.#at));
  }

  message({ fields }: Shape, message: Message): void {
    for (let i = fields.length - 1; i >= 0; i--) {
      const field = fields[i] as Field;
      const value = message[field.name];
      if (value === undefined || value === null) continue;
      if (!field.repeated) this.#field(field, value, false);
      else if (field.wireType === VARINT) this.#packed(field, value as readonly unknown[]);
      else {
        const list = value as readonly unknown[];
        for (let n = list.length - 1; n >= 0; n--) this.#field(field, list[n], true);
      }
    }
  }

  #packed({ id, kind }: Field, list: readonly unknown[]): void {
    if (list.length === 0) return;
    const end = this.#left();
    for (let n = list.length - 1; n >= 0; n--) this.#number(kind as Kind, list[n]);
    this.#head(id, end);
  }

  /** `always`: also what a blank message has. */
  #field({ id, kind }: Field, value: unknown, always: boolean): void {
    if (typeof kind !== 'string') {
      const end = this.#left();
      this.message(kind, value as Message);
      this.#head(id, end);
    } else if (kind === 'string') {
      const text = String(value);
      if (text === '' && !always) return;
      const end = this.#left();
      const length = Buffer.byteLength(text);
      this.#room(length);
      this.#at -= length;
      this.#bytes.write(text, this.#at, length, 'utf8');
      this.#head(id, end);
    } else if (kind === 'bytes') {
      const bytes = value as Uint8Array;
      if (bytes.length === 0 && !always) return;
      const end = this.#left();
      this.#room(bytes.length);
      this.#at -= bytes.length;
      this.#bytes.set(bytes, this.#at);
      this.#head(id, end);
    } else if (Number(value) !== 0 || always) {
      this.#number(kind, value);
      this.#varint(id * 8 + VARINT);
    }
  }

  /** Counted from the end, since the buffer may grow. */
  #left(): number {
    return this.#bytes.length - this.#at;
  }

  #head(id: number, end: number): void {
    this.#varint(this.#left() - end);
    this.#varint(id * 8 + DELIMITED);
  }

  #number(kind: Kind, value: unknown): void {
    if (kind === 'bool') this.#varint(value ? 1 : 0);
    else this.#varint(kind === 'uint32' ? Number(value) >>> 0 : Math.max(0, Math.trunc(Number(value)) || 0));
  }

  #varint(value: number): void {
    let length = 1;
    for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++;
    this.#room(length);
    this.#at -= length;
    let rest = value;
    for (let i = 0; i < length - 1; i++) {
      this.#bytes[this.#at + i] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at + length - 1] = rest;
  }

  #room(length: number): void {
    if (this.#at >= length) return;
    const used = this.#left();
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, used + length));
    this.#bytes.copy(grown, grown.length - used, this.#at);
    this.#bytes = grown;
    this.#at = grown.length - used;
  }
}

const writer = new Writer();
