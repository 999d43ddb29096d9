/**
 * Public entry `switchgear/policy`: parse a document, see what holds for a call and why, compare, describe.
 */
export { type Conflict, conflicts } from './conflicts.js';
export { type Change, diffPolicies } from './diff.js';
export { type Explanation, explain, type Field, type MatchedPolicy } from './explain.js';
export { type JsonSchema, policyJsonSchema } from './json-schema.js';
export { effective, type MergeOptions, merge, PolicyIndex, type Query } from './match.js';
export type * from './model.js';
export { sectionNames } from './model.js';
export type { Able, Note } from './notes.js';
export { type ParseOptions, type ParseResult, parseDocument, parsePolicy } from './parse.js';
export { requirements, unmet } from './requirements.js';
export { inRollout, revisionFor, rolloutPlace } from './rollout.js';
export { formatDuration, formatRate, parseDuration, parseRate } from './units.js';
