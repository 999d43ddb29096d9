/** opossum ships no types of its own; what the benchmark uses of it is in `peers.ts`. */
declare module 'opossum9';
declare module 'opossum10';
