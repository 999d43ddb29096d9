/** How the demo looks: a line for whatever happens, while it happens; at the end one table, and the promises. */
import { type Output, printable } from '../output.js';
import type { Promised } from './promises.js';
import type { Audience, Scene, Transition } from './story.js';
import type { Figures } from './traffic.js';

export class Timeline implements Audience {
  readonly #output: Output;
  readonly #write: (line: string) => void;

  constructor(output: Output, write: (line: string) => void) {
    this.#output = output;
    this.#write = write;
  }

  did({ atMs, text }: { atMs: number; text: string }): void {
    this.#line(atMs, this.#output.paint('bold', text));
  }

  scene(scene: Scene, atMs: number): void {
    this.#line(atMs, `  ${this.#figures(scene)}`);
  }

  transition({ atMs, agent, circuit, state, policy, revision, reason }: Transition): void {
    const { paint } = this.#output;
    const colour = state === 'open' ? 'red' : state === 'closed' ? 'green' : 'yellow';
    const mark = state === 'open' ? '⚡' : state === 'closed' ? '●' : '◐';
    const why = printable(reason);
    this.#line(
      atMs,
      `  ${paint(colour, `${mark} circuit ${printable(circuit)} ${state}`)} by ${printable(policy)}@${revision}` +
        `${why === '' ? '' : `: ${why}`} ${paint('dim', `(${printable(agent)})`)}`,
    );
  }

  close(scenes: readonly Scene[], promises: readonly Promised[]): void {
    const { paint } = this.#output;
    this.#write('');
    this.#write(
      this.#output.table<Scene>(
        [
          { title: 'payments is …', value: ({ name }) => name, colour: () => 'bold' },
          { title: 'calls', value: ({ calls }) => calls, right: true },
          {
            title: 'failed',
            value: ({ failed }) => failed,
            colour: ({ failed }) => (failed > 0 ? 'red' : 'green'),
            right: true,
          },
          { title: 'p50', value: ({ p50Ms }) => milliseconds(p50Ms), right: true },
          { title: 'p99', value: ({ p99Ms }) => milliseconds(p99Ms), right: true },
          { title: 'reached payments', value: ({ reached }) => reached, right: true },
        ],
        scenes,
      ),
    );
    this.#write('');
    for (const { what, kept, seen } of promises)
      this.#write(
        `${kept ? paint('green', '✓') : paint('red', '✗')} ${what} ${paint('dim', `(${printable(seen)})`)}`,
      );
  }

  #figures({ calls, failed, p50Ms, p99Ms }: Figures): string {
    const { paint } = this.#output;
    const failures = paint(failed > calls / 20 ? 'red' : 'green', `${String(failed).padStart(3)} failed`);
    return `customers saw ${String(calls).padStart(4)} calls, ${failures}, p50 ${milliseconds(p50Ms)}, p99 ${milliseconds(p99Ms)}`;
  }

  #line(atMs: number, text: string): void {
    this.#write(`${this.#output.paint('dim', `${(atMs / 1000).toFixed(1).padStart(5)} s`)}  ${text}`);
  }
}

function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(0)} ms`;
}
