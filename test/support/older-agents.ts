/**
 * Agents of a release that can't enforce something: whoever connects while this is in force lacks these capabilities, and says so.
 * What the command line warns by is the same list. Call what it answers when the test is over.
 */
import { capabilities } from '../../core/policy/capabilities.js';

export function olderAgents(...lacking: readonly string[]): () => void {
  const list = capabilities as string[];
  const whole = [...list];
  list.splice(0, list.length, ...whole.filter((name) => !lacking.includes(name)));
  return () => void list.splice(0, list.length, ...whole);
}
