/**
 * What tests of the HTTP client share: before each a callee of its own, and after each nothing that is left over, neither a
 * connection nor a client.
 */
import { type HttpBench, type HttpCallee, httpBench, startHttpCallee } from './http-callee.js';
import { effectiveOf } from './specs.js';
import { until } from './until.js';

/** More than the sockets on the way hold. */
export const BIG = Buffer.alloc(4 * 1024 * 1024, 'x');

type Callee = Omit<HttpCallee, 'stop'>;

export interface HttpTests {
  /** That of the test that runs. */
  readonly callee: Callee;
  /** A client under these sections; its `payments` are the callee if nothing else is said. `unknown`: nobody has said. */
  use(sections?: Parameters<typeof effectiveOf>[0], addresses?: readonly string[] | 'unknown'): HttpBench;
  /** Every permit has come back. */
  idle(bench: HttpBench): Promise<unknown>;
}

/** To be called within a `describe`. */
export function httpTests(): HttpTests {
  let present: HttpCallee | undefined;
  let made: HttpBench | undefined;
  const running = (): HttpCallee => {
    if (!present) throw new Error('the callee is there while a test runs');
    return present;
  };

  beforeEach(async () => {
    present = await startHttpCallee();
  });
  afterEach(async () => {
    await made?.end();
    made = undefined;
    await present?.stop();
    present = undefined;
  });

  const callee: Callee = {
    get address() {
      return running().address;
    },
    get port() {
      return running().port;
    },
    get requests() {
      return running().requests;
    },
    get bodies() {
      return running().bodies;
    },
    get sockets() {
      return running().sockets;
    },
    get answer() {
      return running().answer;
    },
    set answer(answer) {
      running().answer = answer;
    },
  };
  return {
    callee,
    use(sections = {}, addresses = [callee.address]) {
      made = httpBench(effectiveOf(sections), addresses === 'unknown' ? undefined : addresses);
      return made;
    },
    idle: (bench) => until(() => bench.targets.permitsOut === 0, { what: 'the end of every permit' }),
  };
}
