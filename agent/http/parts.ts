/**
 * What every HTTP call of a mesh works with, whichever way it came in.
 */
import { MeshError } from '../../core/errors.js';
import type { ClassifySpec } from '../../core/policy/model.js';
import type { Targets } from '../targets.js';
import type { Places } from './places.js';
import type { Pool } from './pool.js';

export interface HttpParts {
  readonly targets: Targets;
  readonly places: Places;
  readonly pool: Pool;
}

/** What the policies of a callee say about statuses, at this moment. */
export function classifyOf(targets: Targets, service: string): ClassifySpec | undefined {
  return targets.get(service).effective.classify?.value;
}

export function closedError(target: string): MeshError {
  return new MeshError('mesh_closed', 'the mesh was closed before this call: close it last', { target });
}
