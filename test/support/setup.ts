/**
 * Loaded before every test file. An unhandled rejection anywhere is a failure of the suite, never a warning that scrolls by.
 */
process.on('unhandledRejection', (reason) => {
  throw reason instanceof Error ? reason : new Error(`unhandled rejection: ${String(reason)}`);
});
