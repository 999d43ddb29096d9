/**
 * The store as one would explain it to a child: lists that are searched from one end to the other, copied before each write and
 * put back if it is refused. Obviously right and much too slow; the real ones must not differ from it.
 */
import type { Operation } from '../../control-plane/store/store.js';

interface Line {
  readonly revision: number;
  readonly name: string;
  readonly document: string | null;
}

export interface TwinAnswer {
  readonly head: number;
  readonly outcomes: readonly { name: string; revision: number; changed: boolean }[];
}

export class StoreTwin {
  lines: Line[] = [];
  audit: { name: string; revision: number; previous: number | null }[][] = [];
  readonly answers = new Map<string, TwinAnswer>();
  instances: { id: string; boot: number }[] = [];
  interests: [service: string, callee: string][] = [];

  get head(): number {
    return this.lines.length;
  }

  current(name: string): Line | undefined {
    return this.lines.filter((line) => line.name === name).at(-1);
  }

  revision(name: string): number | null {
    const line = this.current(name);
    return line && line.document !== null ? line.revision : null;
  }

  documents(): Line[] {
    return this.lines.filter((line) => line.document !== null && this.current(line.name) === line);
  }

  /** The names whose expectation does not hold, or the answer. */
  write(requestId: string, operations: readonly Operation[]): TwinAnswer | string[] {
    const known = this.answers.get(requestId);
    if (known) return known;
    const wrong = operations.filter(
      ({ name, expected }) => expected !== 'any' && expected !== this.revision(name),
    );
    if (wrong.length > 0) return wrong.map(({ name }) => name);
    const changes: (typeof this.audit)[number] = [];
    const outcomes = operations.map((operation) => {
      const { name } = operation;
      const document = operation.kind === 'put' ? operation.document : null;
      const before = this.current(name);
      if ((before?.document ?? null) === document)
        return { name, revision: before?.revision ?? 0, changed: false };
      changes.push({ name, revision: this.head + 1, previous: this.revision(name) });
      this.lines = [...this.lines, { revision: this.head + 1, name, document }];
      return { name, revision: this.head, changed: true };
    });
    if (changes.length > 0) this.audit = [...this.audit, changes];
    const answer = { head: this.head, outcomes };
    this.answers.set(requestId, answer);
    return answer;
  }

  lease(id: string, boot: number): 'held' | 'stale' {
    const held = this.instances.find((one) => one.id === id);
    if (held && held.boot > boot) return 'stale';
    this.instances = [...this.instances.filter((one) => one.id !== id), { id, boot }];
    return 'held';
  }

  release(id: string, boot: number): void {
    this.instances = this.instances.filter((one) => one.id !== id || one.boot > boot);
  }

  learn(service: string, callees: readonly string[]): void {
    const fresh = callees.filter((callee) => !this.interests.some(([a, b]) => a === service && b === callee));
    this.interests = [...this.interests, ...fresh.map((callee): [string, string] => [service, callee])];
  }
}
