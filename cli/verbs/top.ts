/**
 * `switchgear top`: the circuits of the mesh, live: what each is, how much is called and fails, who reports, which policy, and when it
 * goes on. On a terminal it is drawn anew each second until q or an interrupt; elsewhere once, or with --json one object a line each
 * second. A control plane that goes away while it runs is said in its place, and what was seen last stays.
 */
import type { Command } from 'commander';
import { wait } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import { type Context, remoteVerb } from '../context.js';
import type { Io } from '../io.js';
import type { Output } from '../output.js';
import { readTop, renderTop, type Top } from '../top-table.js';

const REFRESH_MS = 1000;

/** The other screen, without wrapping and without a cursor; and all of it back. */
const ENTER = '\u001b[?1049h\u001b[?7l\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?7h\u001b[?1049l';
const HOME = '\u001b[H';
const REST_OF_LINE = '\u001b[K';
const REST_OF_SCREEN = '\u001b[J';

export function topVerb(context: Context): Command {
  return remoteVerb<{ once?: boolean }>(context, {
    name: 'top',
    about: 'the circuits of the mesh, live',
    settings: [{ flags: '--once', about: 'say it once and end' }],
    details:
      'Ends with q or an interrupt. Without a terminal it is said once; with --json one object a line, each second.',
    run: async ({ client, output, options }) => {
      const { io } = context;
      const first = await readTop(client);
      const look = () => readTop(client);
      const live = io.stdout.isTTY === true && !context.json;
      if (options.once || !(live || context.json)) output.answer(first, () => renderTop(first, output));
      else await (live ? draw(first, look, { io, output }) : stream(first, look, io));
      return undefined;
    },
  });
}

async function stream(first: Top, look: () => Promise<Top>, io: Io): Promise<void> {
  const { signal } = ending(io);
  for (let top = first; ; top = await look()) {
    io.stdout.write(`${JSON.stringify(top)}\n`);
    await wait(io.clock, REFRESH_MS, signal);
    if (signal.aborted) return;
  }
}

async function draw(
  first: Top,
  look: () => Promise<Top>,
  { io, output }: { io: Io; output: Output },
): Promise<void> {
  const { signal, end } = ending(io);
  const stopKeys = io.keys((key) => {
    if (key === 'q' || key === 'Q' || key === '\u0003') end();
  });
  io.stdout.write(ENTER);
  try {
    let top = first;
    let trouble = '';
    while (!signal.aborted) {
      io.stdout.write(frame(top, trouble, io, output));
      await wait(io.clock, REFRESH_MS, signal);
      if (signal.aborted) return;
      try {
        top = await look();
        trouble = '';
      } catch (error) {
        trouble = messageOf(error);
      }
    }
  } finally {
    stopKeys();
    io.stdout.write(LEAVE);
  }
}

function ending(io: Io): { signal: AbortSignal; end: () => void } {
  const ended = new AbortController();
  const end = () => ended.abort();
  void io.interrupted().then(end);
  return { signal: ended.signal, end };
}

const ROWS = 24;

/** Everything that the screen holds; what is beyond its last line is counted. */
function frame(top: Top, trouble: string, { stdout }: Io, output: Output): string {
  const rows = Math.max(5, stdout.rows ?? ROWS);
  const lines = [
    ...(trouble === '' ? [] : [output.paint('red', trouble)]),
    ...renderTop(top, output).split('\n'),
  ];
  const shown = lines.length < rows ? lines : lines.slice(0, rows - 2);
  const more = lines.length - shown.length;
  const end = more > 0 ? `${more} more, all: switchgear get circuits; q ends` : 'q ends';
  const all = [...shown, output.paint('dim', end)];
  return `${HOME}${all.map((line) => `${line}${REST_OF_LINE}`).join('\n')}${REST_OF_SCREEN}`;
}
