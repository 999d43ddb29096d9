/**
 * A port that answers no handshake, as the address of a machine that is gone: a process listens on it, takes nobody in and stands
 * still, and its line is full. (Linux drops what comes when the line is full.)
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

const program = `
const { writeSync } = require('node:fs');
const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  writeSync(1, server.address().port + '\\n');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;

/** Of a line of one, Linux takes in two. */
const LINE = 2;

export interface SwallowingPort {
  readonly address: string;
  stop(): Promise<void>;
}

export async function swallowingPort(): Promise<SwallowingPort> {
  const child: ChildProcess = spawn(process.execPath, ['-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout as Readable }), 'line')) as [string];
  const port = Number(line);
  const fillers: Socket[] = [];
  for (let i = 0; i < LINE; i++) {
    const filler = connect(port, '127.0.0.1');
    filler.on('error', () => {});
    fillers.push(filler);
    await once(filler, 'connect');
  }
  return {
    address: `127.0.0.1:${port}`,
    async stop() {
      for (const filler of fillers) filler.destroy();
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}
