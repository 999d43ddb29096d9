/**
 * Messages that many streams share, encoded once. A delta's bytes depend on the service's interest and on what is told, never
 * on the agent; those of a list of endpoints on the callee alone. What is kept is bounded: the deltas of one moment of one
 * interest, and one list for each callee somebody uses.
 */
import type { DeltaContent } from '../../core/sync/delta.js';
import type { Interest, PolicySource, Selection } from '../../core/sync/interest.js';
import type { ControlMessage } from '../../proto/messages.js';
import type { Instance } from '../store/store.js';

export type Encode = (message: ControlMessage) => Buffer;

/** A delta, encoded; `nonce` is its revision, `position` the place in the interest's log it brings an agent to. */
export interface DeltaBody {
  readonly bytes: Buffer;
  readonly nonce: number;
  readonly revision: number;
  readonly position: number;
}

/** Distinct selections kept of one moment: agents that are level, one push behind, new, and some that are behind in ways of their own. */
const SELECTIONS_MAX = 64;

/** The deltas of one service's interest at the present moment. */
export class DeltaBodies {
  readonly #bodies = new Map<string, DeltaBody>();
  #moment = '';

  constructor(
    private readonly interest: Interest,
    private readonly source: PolicySource,
    private readonly encode: Encode,
  ) {}

  /** For an agent that was last told of what holds at `position`. */
  since(position: number): DeltaBody {
    return this.#body(`@${position}`, () => this.interest.since(position));
  }

  /** For an agent that brought something along. */
  selected(selection: Selection): DeltaBody {
    // No policy is called `*` or `@…`, so neither key can be taken for a list of names.
    return this.#body(selection.kind === 'complete' ? '*' : selection.names.join(), () => selection);
  }

  #body(key: string, select: () => Selection): DeltaBody {
    const { dataset, revision } = this.source;
    const { position } = this.interest.log;
    const moment = `${dataset} ${revision} ${position}`;
    if (moment !== this.#moment || this.#bodies.size >= SELECTIONS_MAX) this.#bodies.clear();
    this.#moment = moment;
    const known = this.#bodies.get(key);
    if (known) return known;
    const content = this.interest.content(select(), this.source);
    const bytes = this.encode({ message: 'delta', delta: deltaOf(content) });
    const body = { bytes, nonce: revision, revision, position };
    this.#bodies.set(key, body);
    return body;
  }
}

function deltaOf({ dataset, revision, complete, upserts, removals }: DeltaContent) {
  return { dataset, revision, nonce: revision, complete, upserts, removals };
}

/** Where instances come from: the mirror. */
export interface InstanceSource {
  instances(service: string): readonly Instance[];
  /** Addresses that are taken out of discovery at present. */
  ejected?(service: string): ReadonlySet<string>;
}

const CALLEES_MAX = 10_000;

/** The endpoints of each callee, whole. */
export class EndpointBodies {
  readonly #bodies = new Map<string, Buffer>();

  constructor(
    private readonly source: InstanceSource,
    private readonly encode: Encode,
  ) {}

  body(callee: string): Buffer {
    const known = this.#bodies.get(callee);
    if (known) return known;
    if (this.#bodies.size >= CALLEES_MAX) this.#bodies.clear();
    const instances = this.#present(callee).map(({ instance, address, zone, version, protocol, weight }) => ({
      instance,
      address,
      zone,
      version,
      protocol,
      weight,
    }));
    const bytes = this.encode({ message: 'endpoints', endpoints: { service: callee, instances } });
    this.#bodies.set(callee, bytes);
    return bytes;
  }

  #present(callee: string): readonly Instance[] {
    const all = this.source.instances(callee);
    const out = this.source.ejected?.(callee);
    if (!out || out.size === 0) return all;
    const rest = all.filter(({ address }) => !out.has(address));
    // Whoever was healthy may have gone since: instances that fail now and then are better than none.
    return rest.length > 0 ? rest : all;
  }

  forget(callees: Iterable<string>): void {
    for (const callee of callees) this.#bodies.delete(callee);
  }

  forgetAll(): void {
    this.#bodies.clear();
  }
}
