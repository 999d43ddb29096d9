/** What the primary knows and no worker does, as Prometheus reads it: how many workers there are and should be. */

export interface WorkerCounts {
  readonly wanted: number;
  readonly ready: number;
  /** Since the start. */
  readonly restarted: number;
}

/** The names in `labels` need no escaping: both are checked at the start. */
export function figuresOf(
  { mesh, replica }: { readonly mesh: string; readonly replica: string },
  { wanted, ready, restarted }: WorkerCounts,
): string {
  const family = (name: string, type: 'counter' | 'gauge', help: string, value: number) =>
    `# HELP switchgear_${name} ${help}\n# TYPE switchgear_${name} ${type}\nswitchgear_${name}{mesh="${mesh}",replica="${replica}"} ${value}\n`;
  return [
    family('workers', 'gauge', 'Workers behind this address, as configured.', wanted),
    family('workers_ready', 'gauge', 'Of these, how many serve.', ready),
    family('worker_restarts_total', 'counter', 'Workers that had ended and were started again.', restarted),
  ].join('\n');
}
