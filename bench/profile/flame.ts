/**
 * A tree of frames as a flame graph (SVG, no scripts): callers below, what they called above them, as wide as the time spent. Each frame
 * says in a tooltip what it is and what it took. Colours say whose code it is.
 */
import type { Frame, Owner } from './frames.js';

export interface Picture {
  readonly title: string;
  /** A line below the title: what was done, and what the tree is without. */
  readonly subtitle: string;
}

export interface Limits {
  /** Of the picture, bytes: the smallest frames go until it fits. */
  readonly bytesMax: number;
  /** Frames below this share of the whole are not drawn. */
  readonly sharePercentMin: number;
}

export const limits: Limits = { bytesMax: 200_000, sharePercentMin: 0.1 };

const WIDTH = 1_200;
const SIDE = 10;
const ROW = 18;
const HEAD = 84;
const FOOT = 10;
const FONT = 12;
/** Of a monospaced character at that size, with a little to spare. */
const CHARACTER = 7.3;
/** Below this a label is a few letters that say nothing. */
const CHARACTERS_MIN = 3;

const colours: { readonly [owner: Owner]: string } = {
  ours: '#ffc078',
  '@grpc/grpc-js': '#a5d8ff',
  'node http2': '#96f2d7',
  node: '#d8f5a2',
  gc: '#ffa8a8',
  benchmark: '#ced4da',
  '': '#e9ecef',
};
const OTHER = '#d0bfff';

/** The same tree makes the same text. Fits `bytesMax` by drawing fewer frames, and says from which share on they are drawn. */
export function flame(root: Frame, picture: Picture, { bytesMax, sharePercentMin }: Limits = limits): string {
  for (let percent = sharePercentMin; ; percent *= 2) {
    const svg = draw(root, picture, percent);
    if (Buffer.byteLength(svg) <= bytesMax || percent > 100) return svg;
  }
}

function draw(root: Frame, { title, subtitle }: Picture, sharePercentMin: number): string {
  const leastUs = (root.totalUs * sharePercentMin) / 100;
  const depth = depthOf(root, leastUs);
  const height = HEAD + depth * ROW + FOOT;
  const scale = (WIDTH - 2 * SIDE) / Math.max(1, root.totalUs);
  const drawn: string[] = [];
  const place = (frame: Frame, x: number, level: number): void => {
    drawn.push(box(frame, x, height - FOOT - (level + 1) * ROW, frame.totalUs * scale, root.totalUs));
    let left = x;
    for (const child of frame.children) {
      if (child.totalUs >= leastUs && child.totalUs > 0) place(child, left, level + 1);
      left += child.totalUs * scale;
    }
  };
  place(root, SIDE, 0);
  const note = `${subtitle}. Frames below ${sharePercentMin} % are left out.`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title desc" font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${FONT}">`,
    `<title id="title">${escaped(title)}</title>`,
    `<desc id="desc">${escaped(note)}</desc>`,
    '<style>rect{stroke:#fff;stroke-width:.5}text{fill:#1f2328;pointer-events:none}</style>',
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="${SIDE}" y="24" font-size="16" font-weight="bold">${escaped(title)}</text>`,
    `<text x="${SIDE}" y="44">${escaped(note)}</text>`,
    ...legend(),
    ...drawn,
    '</svg>',
    '',
  ].join('\n');
}

function depthOf(frame: Frame, leastUs: number): number {
  const deep = frame.children
    .filter(({ totalUs }) => totalUs >= leastUs && totalUs > 0)
    .map((child) => depthOf(child, leastUs));
  return 1 + Math.max(0, ...deep);
}

function box(frame: Frame, x: number, y: number, width: number, allUs: number): string {
  const label = fitting(frame, width);
  const text = label === '' ? '' : `<text x="${round(x + 3)}" y="${y + 13}">${escaped(label)}</text>`;
  const fill = colours[frame.owner] ?? OTHER;
  const rect = `<rect x="${round(x)}" y="${y}" width="${round(width)}" height="${ROW - 1}" fill="${fill}"/>`;
  return `<g><title>${escaped(tooltip(frame, allUs))}</title>${rect}${text}</g>`;
}

function tooltip({ name, place, totalUs, selfUs }: Frame, allUs: number): string {
  const percent = (us: number) => ((us / Math.max(1, allUs)) * 100).toFixed(1);
  const where = place === '' ? name : `${name} (${place})`;
  const ms = (totalUs / 1_000).toFixed(1);
  return `${where}: ${percent(totalUs)} %, ${ms} ms; itself ${percent(selfUs)} %`;
}

/** The name and its place, the name alone, or as much of the name as there is room for. */
function fitting({ name, place }: Frame, width: number): string {
  const room = Math.floor((width - 6) / CHARACTER);
  const whole = place === '' ? name : `${name} ${place}`;
  if (whole.length <= room) return whole;
  if (name.length <= room) return name;
  return room < CHARACTERS_MIN ? '' : `${name.slice(0, room - 1)}…`;
}

function legend(): string[] {
  const entries = Object.entries({ ...colours, 'other packages': OTHER }).filter(([owner]) => owner !== '');
  const drawn: string[] = [];
  let x = SIDE;
  for (const [owner, colour] of entries) {
    drawn.push(`<rect x="${x}" y="56" width="14" height="14" fill="${colour}"/>`);
    drawn.push(`<text x="${x + 19}" y="67">${escaped(owner)}</text>`);
    x += Math.ceil(owner.length * CHARACTER) + 40;
  }
  return drawn;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
