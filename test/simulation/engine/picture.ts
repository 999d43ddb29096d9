/**
 * A run as a picture (SVG, a few kilobytes): above, how many callers' circuits let not every call through, over a band with the
 * state of each circuit of the mesh; below, calls wasted so far, of this fleet and of one with local circuits alone.
 */
import type { Run } from './judge.js';
import type { Moment, Sample } from './outcome.js';
import type { Happening, Scenario } from './scenario.js';

const WIDTH = 760;
const HEIGHT = 360;
const LEFT = 56;
const RIGHT = 16;
const TOP = 44;
const PANEL = 104;
const BAND = 10;
const BANDS_MAX = 4;
const SECOND = 206;
const TICKS = 8;

const colours: { readonly [state: string]: string } = {
  closed: '#3f9b5f',
  open: '#c4473a',
  'half-open': '#d99a2b',
  ramping: '#8fb84e',
};
const MESH = '#2b62a8';
const LOCAL = '#9a9a9a';

export function picture(scenario: Scenario, { outcome, local, seed }: Run): string {
  const { runMs } = scenario;
  const x = (atMs: number) => LEFT + (atMs / runMs) * (WIDTH - LEFT - RIGHT);
  const open = (fraction: number) => TOP + PANEL * (1 - fraction);
  const most = Math.max(1, ...[outcome, ...(local ? [local] : [])].map(({ metrics }) => metrics.wasted));
  // What the mesh spares would hide what it costs: by orders of magnitude.
  const wasted = (count: number) => SECOND + PANEL * (1 - Math.log10(1 + count) / Math.log10(1 + most));
  const shape = (samples: readonly Sample[], y: (sample: Sample) => number) =>
    thinned(samples.map((sample) => [round(x(sample.atMs)), round(y(sample))] as const)).join(' ');
  const line = (points: string, colour: string) =>
    `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="1.5"/>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">`,
    `<title>${escaped(`${scenario.title} (seed ${seed})`)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 18, `${scenario.title} (seed ${seed})`, 'font-size="14" font-weight="bold"'),
    text(LEFT, 36, 'callers whose circuit turns calls away'),
    frame(TOP),
    text(LEFT - 6, TOP + 9, '100 %', 'text-anchor="end"'),
    text(LEFT - 6, TOP + PANEL, '0', 'text-anchor="end"'),
    ...happenings(scenario, x),
    ...(local
      ? [
          line(
            shape(local.samples, (sample) => open(sample.open)),
            LOCAL,
          ),
        ]
      : []),
    line(
      shape(outcome.samples, (sample) => open(sample.open)),
      MESH,
    ),
    ...bands(outcome.moments, x, runMs),
    text(
      LEFT,
      SECOND - 6,
      `calls wasted, so far: ${outcome.metrics.wasted}${local ? `, with local circuits alone ${local.metrics.wasted}` : ''}`,
    ),
    frame(SECOND),
    text(LEFT - 6, SECOND + 9, String(most), 'text-anchor="end"'),
    text(LEFT - 6, SECOND + PANEL, '0', 'text-anchor="end"'),
    ...(local
      ? [
          line(
            shape(local.samples, (sample) => wasted(sample.wasted)),
            LOCAL,
          ),
        ]
      : []),
    line(
      shape(outcome.samples, (sample) => wasted(sample.wasted)),
      MESH,
    ),
    ...axis(x, runMs),
    ...legend(local !== undefined),
    '</svg>\n',
  ].join('\n');
}

/** One band for each circuit that ever had a record, the first ones. */
function bands(moments: readonly Moment[], x: (atMs: number) => number, runMs: number): string[] {
  const circuits = [...new Set(moments.map(({ circuit }) => circuit))].slice(0, BANDS_MAX);
  return circuits.flatMap((circuit, i) => {
    const own = moments.filter((moment) => moment.circuit === circuit);
    const y = TOP + PANEL + 3 + i * (BAND + 1);
    const parts = [{ atMs: 0, state: 'closed' }, ...own].map(({ atMs, state }, at) => {
      const endMs = own[at]?.atMs ?? runMs;
      const width = round(Math.max(0.5, x(endMs) - x(atMs)));
      return `<rect x="${round(x(atMs))}" y="${y}" width="${width}" height="${BAND}" fill="${colours[state]}"/>`;
    });
    return [
      ...parts,
      text(LEFT - 6, y + 9, circuit.replace(/\|[^@]*/, ''), 'text-anchor="end" font-size="9"'),
    ];
  });
}

/** What was done to the mesh, as thin lines; of many, the first. */
function happenings({ happenings: list }: Scenario, x: (atMs: number) => number): string[] {
  return [...new Set(list.slice(0, 60).map((happening: Happening) => round(x(happening.atMs))))].map(
    (at) =>
      `<line x1="${at}" y1="${TOP}" x2="${at}" y2="${SECOND + PANEL}" stroke="#ccc" stroke-dasharray="2 3"/>`,
  );
}

function axis(x: (atMs: number) => number, runMs: number): string[] {
  return Array.from({ length: TICKS + 1 }, (_, i) => {
    const atMs = (runMs / TICKS) * i;
    const seconds = Math.round(atMs / 1_000);
    const at = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
    return text(x(atMs), SECOND + PANEL + 16, at, 'text-anchor="middle"');
  });
}

function legend(withLocal: boolean): string[] {
  const entries = [
    ['this fleet', MESH] as const,
    ...(withLocal ? [['local circuits alone', LOCAL] as const] : []),
    ...Object.entries(colours),
  ];
  return entries.map(([name, colour], i) => {
    const at = LEFT + i * 112;
    const box = `<rect x="${at}" y="${HEIGHT - 18}" width="10" height="10" fill="${colour}"/>`;
    return `${box}${text(at + 14, HEIGHT - 9, name)}`;
  });
}

function frame(y: number): string {
  return `<rect x="${LEFT}" y="${y}" width="${WIDTH - LEFT - RIGHT}" height="${PANEL}" fill="#fafafa" stroke="#ddd"/>`;
}

function text(x: number, y: number, said: string, more = ''): string {
  return `<text x="${round(x)}" y="${y}" fill="#333"${more && ` ${more}`}>${escaped(said)}</text>`;
}

function escaped(said: string): string {
  return said.replace(/&/g, '&amp;').replace(/</g, '&lt;');
}

/** Points between two of the same height say nothing. */
function thinned(points: readonly (readonly [number, number])[]): string[] {
  return points
    .filter(([, y], i) => points[i - 1]?.[1] !== y || points[i + 1]?.[1] !== y)
    .map(([x, y]) => `${x},${y}`);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
