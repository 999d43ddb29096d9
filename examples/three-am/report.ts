/** How the example looks: a table of scenes and endpoints, the ratio it is about, and its promises. */
import { endpoints, type Figures, type Scene } from './figures.js';
import { catalogueRatio, type Promised } from './promises.js';
import { type SceneName, type Story, scenes } from './story.js';

/** What the story of the README says. */
const RATIO_MAX = 1.2;

const columns = ['CALLS', 'OK', 'DEGRADED', 'FAILED', 'P50', 'P99'];

export function report(story: Story, promises: readonly Promised[]): string {
  return [
    row("ORDERS' DATABASE", 'ENDPOINT', columns),
    ...(Object.keys(scenes) as SceneName[]).flatMap((name) =>
      endpoints.map((endpoint) => {
        const figures = story.scenes[name]?.[endpoint];
        return row(scenes[name], `/${endpoint}`, figures ? cells(figures) : ['–']);
      }),
    ),
    '',
    ...remarks(story),
    '',
    ...promises.map(({ what, kept, seen }) => `${kept ? '✓' : '✗'} ${what} (${seen})`),
  ].join('\n');
}

function remarks(story: Story): string[] {
  const { healthy, arriving, guarded } = story.scenes;
  const ratio = catalogueRatio(story);
  const lines = [`p99 of /catalogue, hanging and guarded ÷ healthy: ${ratio.toFixed(2)}`];
  if (healthy && guarded)
    lines.push(
      `(the machine's processors were busy to ${percent(healthy)} when healthy, to ${percent(guarded)} when guarded` +
        `${ratio > RATIO_MAX ? `; above ${RATIO_MAX}, look there first, and run it again on a quiet machine` : ''})`,
    );
  if (arriving)
    lines.push(
      `the last /catalogue that failed did so ${milliseconds(arriving.catalogue.lastFailedAtMs)} after the policy was put`,
    );
  return lines;
}

function percent({ processorsBusyPercent }: Scene): string {
  return `${processorsBusyPercent.toFixed(0)} %`;
}

function cells({ calls, ok, degraded, failed, p50Ms, p99Ms }: Figures): string[] {
  return [calls, ok, degraded, failed].map(String).concat(milliseconds(p50Ms), milliseconds(p99Ms));
}

function row(scene: string, endpoint: string, values: readonly string[]): string {
  return `${scene.padEnd(23)}${endpoint.padEnd(11)}${values.map((value) => value.padStart(9)).join('')}`;
}

function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(0)} ms`;
}
