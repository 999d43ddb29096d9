/**
 * The demo as a sequence of scenes: the same load throughout, payments well and unwell, first without a policy and then with one.
 * It only acts and records; what must be true of the record is `promises.ts`, how it looks is `timeline.ts`.
 */
import type { ServerEvent } from '../rest-client.js';
import { POLICY, type Rig, startRig, type Weather } from './rig.js';
import type { Stage } from './stage.js';
import type { Figures } from './traffic.js';

export interface Scene extends Figures {
  readonly name: string;
  readonly weather: Weather;
  readonly protected: boolean;
  /** Calls that reached payments meanwhile. */
  readonly reached: number;
}

export interface Transition {
  /** Milliseconds since the demo began. */
  readonly atMs: number;
  readonly circuit: string;
  readonly agent: string;
  readonly before: string;
  readonly state: string;
  readonly policy: string;
  readonly revision: number;
  readonly reason: string;
}

export interface Told {
  readonly atMs: number;
  readonly text: string;
}

export interface Story {
  scenes: Scene[];
  transitions: Transition[];
  policy: { name: string; revision: number; agents: number; tookMs: number } | undefined;
}

/** Hears of everything as it happens. */
export interface Audience {
  did(told: Told): void;
  scene(scene: Scene, atMs: number): void;
  transition(transition: Transition): void;
}

const SCENE_MS = 3000;
/** A machine that is busy may need a moment until a shop that just opened serves everybody. */
const WARM_UPS_MAX = 10;
const WARM_UP_MS = 500;
/** The circuit's wait doubles while payments stays unwell; four doublings of a second, with their jitter, fit in here. */
const RECOVERY_MS = 12_000;
/** How long a closed circuit is watched, to see that it stays so. */
const AFTERGLOW_MS = 1500;

/** Plays all scenes; rejects with the reason if something was lost on the way. The stage is the caller's to close. */
export async function play(stage: Stage, audience: Audience): Promise<{ record: Story; rig: Rig }> {
  const { clock } = stage.io;
  const start = clock.now();
  const elapsed = () => clock.now() - start;
  const record: Story = { scenes: [], transitions: [], policy: undefined };
  let over = false;
  const tell = (text: string) => audience.did({ atMs: elapsed(), text });
  const rig = await stage.during(
    startRig(stage, (event) => {
      const transition = transitionOf(event, elapsed());
      if (!transition) return;
      if (!over) record.transitions.push(transition);
      audience.transition(transition);
    }),
  );
  const scene = async (name: string, weather: Weather, lasts: () => Promise<void>) => {
    await rig.setWeather(weather);
    const before = await rig.reached();
    rig.traffic.label(name);
    await lasts();
    const reached = (await rig.reached()) - before;
    const figures = await stage.during(rig.traffic.settle(name));
    const done = { name, weather, protected: record.policy !== undefined, reached, ...figures };
    record.scenes.push(done);
    audience.scene(done, elapsed());
  };

  tell('checkout → inventory → payments are connected and registered, customers buy 50 times a second');
  for (let i = 0, failed = 1; i < WARM_UPS_MAX && failed > 0; i += 1) {
    rig.traffic.label('warm-up');
    await stage.pause(WARM_UP_MS);
    ({ failed } = await stage.during(rig.traffic.settle('warm-up')));
  }
  await scene('healthy, no policy', 'healthy', () => stage.pause(SCENE_MS));
  tell('payments becomes slow: 3 s a call, and customers wait for two at most');
  await scene('slow, without protection', 'slow', () => stage.pause(SCENE_MS));
  await rig.setWeather('healthy');
  const policy = { name: POLICY, ...(await stage.during(rig.protect())) };
  record.policy = policy;
  tell(
    `payments is well again; policy ${POLICY}@${policy.revision} put over REST, ` +
      `in force on ${policy.agents} live agent after ${policy.tookMs.toFixed(0)} ms`,
  );
  /** Watches until the circuit has closed and stayed so for a moment. */
  const recovery = async () => {
    const end = elapsed() + RECOVERY_MS;
    const recovered = () => {
      const last = record.transitions.at(-1);
      return last?.state === 'closed' && elapsed() - last.atMs >= AFTERGLOW_MS;
    };
    while (!recovered() && elapsed() < end) await stage.pause(20);
  };
  tell('payments becomes slow again');
  await scene('slow, with protection', 'slow', () => stage.pause(SCENE_MS));
  tell('payments is well again');
  await rig.setWeather('healthy');
  await recovery();
  tell('payments fails every call');
  await scene('failing, with protection', 'failing', () => stage.pause(SCENE_MS));
  tell('payments is well again');
  await scene('healthy again', 'healthy', recovery);
  over = true;
  return { record, rig };
}

function transitionOf({ type, data }: ServerEvent, atMs: number): Transition | undefined {
  if (type !== 'circuit') return undefined;
  const text = (name: string) => String(data[name] ?? '');
  return {
    atMs,
    circuit: text('id'),
    agent: text('agent'),
    before: text('before'),
    state: text('state'),
    policy: text('policy'),
    revision: Number(data.revision),
    reason: text('reason'),
  };
}
