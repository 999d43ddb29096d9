/**
 * What a replica tells its agents of circuits and of instances, and when: at once what changes, and what would lapse again after a
 * while, as `control-plane/grpc/directive-lane.ts` does. What agents of one service and zone are told is made once, but for those
 * that hold probe permits.
 */
import type { CoordinatorPart } from '../../../core/coordination/contract.js';
import type { ClusterDirective, ClusterRecord } from '../../../core/coordination/model.js';

const RENEW_MS = 2_900;

/** An agent's stream, as its replica sees it. */
export interface Listener {
  readonly agent: string;
  readonly service: string;
  readonly zone: string;
  told(dataset: string, word: Told): void;
}

export interface Told {
  readonly directives: readonly ClusterDirective[];
  /** By callee, by number. */
  readonly ejected: readonly ReadonlySet<string>[];
}

interface Lane {
  readonly listener: Listener;
  said: string;
  saidAt: number;
}

interface Body extends Told {
  readonly said: string;
  readonly lapses: boolean;
}

export class DirectiveLanes {
  readonly #lanes = new Map<number, Lane>();
  /** By record, while it is half-open. */
  readonly #holders = new Map<string, readonly string[]>();

  constructor(
    private readonly coordinator: Pick<CoordinatorPart, 'directives' | 'ejected' | 'views'>,
    private readonly calleeNames: ReadonlySet<string>,
  ) {}

  add(agent: number, listener: Listener, dataset: string, now: number): void {
    const lane = { listener, said: '', saidAt: Number.NEGATIVE_INFINITY };
    this.#lanes.set(agent, lane);
    this.#tell(lane, this.#body(listener, this.#ejected(now), now), dataset, now);
  }

  remove(agent: number): boolean {
    return this.#lanes.delete(agent);
  }

  /** Undefined: its stream is not here. */
  nameOf(agent: number): string | undefined {
    return this.#lanes.get(agent)?.listener.agent;
  }

  changed(records: readonly ClusterRecord[]): void {
    for (const { id, state, permits } of records) {
      this.#holders.delete(id);
      if (state === 'half-open')
        this.#holders.set(
          id,
          permits.map(({ agent }) => agent),
        );
    }
  }

  /** All may be another. */
  forget(): void {
    this.#holders.clear();
  }

  publish(dataset: string, now: number): void {
    const ejected = this.#ejected(now);
    const holders = new Set([...this.#holders.values()].flat());
    const shared = new Map<string, Body>();
    for (const lane of this.#lanes.values()) {
      const { agent, service, zone } = lane.listener;
      if (holders.has(agent)) {
        this.#tell(lane, this.#body(lane.listener, ejected, now), dataset, now);
        continue;
      }
      const key = `${service} ${zone}`;
      let body = shared.get(key);
      if (!body) {
        body = this.#body({ agent: '', service, zone }, ejected, now);
        shared.set(key, body);
      }
      this.#tell(lane, body, dataset, now);
    }
  }

  #tell(lane: Lane, body: Body, dataset: string, now: number): void {
    if (body.said === lane.said && !(body.lapses && now - lane.saidAt >= RENEW_MS)) return;
    lane.said = body.said;
    lane.saidAt = now;
    lane.listener.told(dataset, body);
  }

  #body(
    { agent, service, zone }: Omit<Listener, 'told'>,
    ejected: readonly ReadonlySet<string>[],
    now: number,
  ): Body {
    const directives = this.coordinator.directives(agent, service, zone, this.calleeNames, now);
    const said = directives.map(({ circuit, state, epoch, admitPercent, permits }) =>
      [circuit, state, epoch, admitPercent, ...permits].join(' '),
    );
    const out = ejected.map((each) => [...each].join(' '));
    const lapses = directives.some(({ state }) => state !== 'closed');
    return { directives, ejected, lapses, said: [...said, ...out].join('\n').trim() };
  }

  #ejected(now: number): readonly ReadonlySet<string>[] {
    return [...this.calleeNames].map((callee) => this.coordinator.ejected(callee, now));
  }
}
