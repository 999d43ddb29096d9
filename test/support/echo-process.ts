/**
 * The echo server as a process of its own, to be stopped and continued; prints its port, and ends with its parent.
 */
import { startEcho } from './echo.js';

const { port } = await startEcho();
process.stdout.write(`${port}\n`);
process.stdin.resume();
process.stdin.on('end', () => process.exit());
