#!/usr/bin/env node
/**
 * The program `switchgear`. It only ties `run` to the process: the exit code is set, not forced, so that what is still being
 * written is written.
 */
import { run } from './program.js';

// `switchgear get policies | head` closes our output early: there is nobody left to tell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await run(process.argv.slice(2));
