/**
 * What the demo promises, checked on counts and on the transitions that were seen, never on how fast this machine is. Latencies
 * are shown and compared with each other within one run; no absolute time decides.
 */
import type { Scene, Story, Transition } from './story.js';

export interface Promised {
  readonly what: string;
  readonly kept: boolean;
  readonly seen: string;
}

/** Shares of the calls. Generous, since a busy machine may lose a call of its own accord. */
const SUFFERING_MIN = 0.5;
const PROTECTED_FAILURES_MAX = 0.05;
const REACHED_MAX = 0.5;
const CALLS_MIN = 20;

export function judge({ scenes, transitions, policy }: Story): Promised[] {
  const of = (name: string) => scenes.find((scene) => scene.name === name);
  const before = of('healthy, no policy');
  const bare = of('slow, without protection');
  const slow = of('slow, with protection');
  const failing = of('failing, with protection');
  const after = of('healthy again');
  const mine = transitions.filter((t) => t.policy === policy?.name && t.revision === policy.revision);
  const openings = mine.filter(({ before, state }) => before === 'closed' && state === 'open');
  const [opened] = openings;
  return [
    few('with payments healthy, customers are served', before),
    {
      what: 'without protection, slow payments fail the customers',
      kept: enough(bare) && bare.failed >= bare.calls * SUFFERING_MIN,
      seen: counts(bare),
    },
    {
      what: 'a policy put over REST is in force on live agents, without a restart',
      kept: policy !== undefined && policy.agents > 0,
      seen: policy ? `${policy.name}@${policy.revision} on ${policy.agents} agent` : 'no policy',
    },
    few('with protection, slow payments fail hardly anybody', slow),
    {
      what: 'and half of the customers wait less than a quarter of what they did',
      kept: enough(slow) && enough(bare) && slow.p50Ms < bare.p50Ms / 4,
      seen: slow && bare ? `p50 ${slow.p50Ms.toFixed(0)} ms, was ${bare.p50Ms.toFixed(0)} ms` : 'nothing',
    },
    {
      what: 'payments is spared while it is unwell',
      kept: enough(slow) && enough(failing) && spared(slow) && spared(failing),
      seen: `${slow?.reached} of ${slow?.calls} calls reached it when slow, ${failing?.reached} of ${failing?.calls} when failing`,
    },
    few('failing payments fail hardly anybody either', failing),
    {
      what: `the circuit opens when payments is slow, and again when it fails, by ${policy?.name}@${policy?.revision}`,
      kept: openings.length >= 2,
      seen: opened ? openings.map(({ reason }) => reason).join('; ') : states(transitions),
    },
    {
      what: 'and closes each time once payments is well',
      kept: openings.length > 0 && mine.at(-1)?.state === 'closed' && closings(mine) >= openings.length,
      seen: states(mine),
    },
    few('after that, customers are served as before', after),
    {
      what: 'with their deposits taken again',
      kept: enough(after) && after.reached > 0,
      seen: `${after?.reached} of ${after?.calls} calls reached payments`,
    },
  ];
}

function enough(scene: Scene | undefined): scene is Scene {
  return scene !== undefined && scene.calls >= CALLS_MIN;
}

function few(what: string, scene: Scene | undefined): Promised {
  return {
    what,
    kept: enough(scene) && scene.failed <= scene.calls * PROTECTED_FAILURES_MAX,
    seen: counts(scene),
  };
}

function spared(scene: Scene): boolean {
  return scene.reached < scene.calls * REACHED_MAX;
}

function counts(scene: Scene | undefined): string {
  return scene ? `${scene.failed} of ${scene.calls} calls failed` : 'no call';
}

function closings(transitions: readonly Transition[]): number {
  return transitions.filter(({ state }) => state === 'closed').length;
}

function states(transitions: readonly Transition[]): string {
  return ['closed', ...transitions.map(({ state }) => state)].join(' → ');
}
