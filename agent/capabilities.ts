/** What the agent says of itself in its hello, and holds each policy against. */
export { capabilities } from '../core/policy/capabilities.js';
