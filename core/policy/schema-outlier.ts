/**
 * The forms of `spec.outlier` (which instances of a callee are left out for a while) and of `spec.classify` (what a status counts
 * as, where the usual reading is wrong for this callee).
 */
import { defaults } from './defaults.js';
import { mapOf } from './form.js';
import {
  choice,
  DAY_MS,
  duration,
  type Fault,
  type Fields,
  HOUR_MS,
  must,
  numberOf,
  rate,
  record,
  sense,
  suggestion,
  whole,
} from './leaves.js';
import { statusNames } from './names.js';
import { formatDuration } from './units.js';

export function outlier() {
  const usual = defaults.outlier;
  return record({
    interval: duration(100, HOUR_MS).usually(usual.interval).describe('Between two looks at the instances.'),
    failureRate: rate(0, 1, { aboveMin: true })
      .usually(usual.failureRate)
      .describe('Of an instance, ejected at this rate of failures, or above.'),
    minimumCalls: whole(1, 1_000_000)
      .usually(usual.minimumCalls)
      .describe('Of an instance in an interval, below which it is not judged.'),
    minimumHosts: whole(1, 10_000)
      .usually(usual.minimumHosts)
      .describe('Instances that must have had so many calls before any is ejected.'),
    ejectFor: duration(100, DAY_MS)
      .usually(usual.ejectFor)
      .describe('The first time; longer each time after.'),
    maxEjectFor: duration(100, DAY_MS).usually(usual.maxEjectFor).describe('Ejected at a time, at most.'),
    maxEjected: rate(0, 1, { aboveMin: true })
      .usually(usual.maxEjected)
      .describe('Of the instances, ejected at a time, at most.'),
  }).check(sense(longest));
}

function longest({ ejectFor, maxEjectFor }: Fields, fault: Fault): void {
  const first = numberOf(ejectFor);
  const most = numberOf(maxEjectFor);
  if (first !== undefined && most !== undefined && first > most)
    fault(
      ['ejectFor'],
      `must be at most maxEjectFor (${formatDuration(most)}); got ${formatDuration(first)}`,
    );
}

const WORDS_MAX = 64;
const word = /^[A-Za-z0-9_.-]{1,64}$/;

export function classify() {
  const right = must(
    'an object of statuses, for example { NOT_FOUND: failure, "404": failure, ECONNRESET: neutral }',
  );
  return mapOf(choice(['success', 'failure', 'neutral']), right).check(sense(knownWords));
}

/** A status nearly of gRPC's is a slip; other words may be HTTP statuses, or codes and names of errors. */
function knownWords(fields: Fields, fault: Fault): void {
  const words = Object.keys(fields);
  if (words.length > WORDS_MAX) fault([], `must have at most ${WORDS_MAX} entries; got ${words.length}`);
  for (const key of words.slice(0, WORDS_MAX)) {
    if (!word.test(key))
      fault([key], 'must be named by a gRPC status, an HTTP status, or the code or name of an error');
    else if (key === 'OK') fault([key], 'is always a success');
    else if (/^[A-Z_]+$/.test(key) && !(statusNames as readonly string[]).includes(key)) {
      const meant = suggestion(key, statusNames);
      if (meant !== '') fault([key], `is no gRPC status${meant}`);
    }
  }
}
