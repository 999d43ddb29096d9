/**
 * A look at the bytes before they are decoded. Two bytes on the wire can make an object of two hundred, so a frame of the
 * permitted size could still hold the event loop for seconds; this counts, without making anything, how many fields and list
 * items a message and its body have. Malformed bytes pass: the decoder has words for them.
 */

/** Items of all lists of one message, and its fields: three full lists of a Report and some to spare. */
const BODY_FIELDS_MAX = 32_000;
const MESSAGE_FIELDS_MAX = 8;

/** A frame that can't hold more fields than allowed needs no count. */
const COUNT_FROM_BYTES = 2 * BODY_FIELDS_MAX;

/** Whether a message has more fields, or a body more items, than any honest one. */
export function tooManyFields(bytes: Uint8Array): boolean {
  if (bytes.length < COUNT_FROM_BYTES) return false;
  let fields = 0;
  let items = 0;
  const inBody = () => ++items > BODY_FIELDS_MAX;
  return walk(bytes, 0, bytes.length, (start, end) => {
    if (++fields > MESSAGE_FIELDS_MAX) return true;
    return start < end && walk(bytes, start, end, inBody);
  });
}

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

/**
 * Calls `visit` for each field in `[from, to)`, with the place of its content where it has one; ends with true as soon as
 * `visit` answers true, with false at the end or at the first malformed byte.
 */
function walk(
  bytes: Uint8Array,
  from: number,
  to: number,
  visit: (start: number, end: number) => boolean,
): boolean {
  let at = from;
  while (at < to) {
    const wireType = (bytes[at] ?? 0) & 7;
    at = skipVarint(bytes, at, to);
    let start = at;
    if (wireType === VARINT) at = start = skipVarint(bytes, at, to);
    else if (wireType === FIXED64) at = start = at + 8;
    else if (wireType === FIXED32) at = start = at + 4;
    else if (wireType === DELIMITED) {
      start = skipVarint(bytes, at, to);
      at = start + readLength(bytes, at, start);
    } else return false;
    if (at > to) return false;
    if (visit(start, at)) return true;
  }
  return false;
}

/** The place behind the varint at `at`; beyond `to` if there is none. */
function skipVarint(bytes: Uint8Array, at: number, to: number): number {
  let next = at;
  while (next < to && (bytes[next] ?? 0) > 127) next++;
  return next + 1;
}

function readLength(bytes: Uint8Array, from: number, to: number): number {
  let length = 0;
  for (let at = Math.min(to, from + 6) - 1; at >= from; at--)
    length = length * 128 + ((bytes[at] ?? 0) & 127);
  return length;
}
