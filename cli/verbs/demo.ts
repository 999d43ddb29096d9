/**
 * `switchgear demo`: half a minute that shows what this is for. Exits with 0 when everything it promises was seen, with 1 and the
 * missing promise if not. Nothing it starts outlives it, except with --keep, until somebody ends it.
 */
import { Command } from 'commander';
import type { Context } from '../context.js';
import { judge } from '../demo/promises.js';
import { POLICY, type Rig } from '../demo/rig.js';
import { Stage } from '../demo/stage.js';
import { play } from '../demo/story.js';
import { Timeline } from '../demo/timeline.js';
import { jsonSetting } from '../remote.js';
import { addSettings } from '../settings.js';

export function demoVerb(context: Context): Command {
  const command = new Command('demo')
    .description('watch a breaker protect a shop: control plane, three services and customers, half a minute')
    .addHelpText('after', '\nExits with 0 when everything promised was seen, with 1 if not.');
  addSettings(command, [
    { flags: '--keep', about: 'leave everything running afterwards, to play with' },
    jsonSetting,
  ]);
  return command.action(async () => {
    const { keep = false } = command.opts<{ keep?: boolean }>();
    const { io } = context;
    const start = io.clock.now();
    const output = context.output();
    const write = (line: string) => {
      if (!context.json) io.stdout.write(`${line}\n`);
    };
    const interrupted = io.interrupted();
    const stage = new Stage(io);
    let playing = true;
    void interrupted.then((signal) => {
      if (playing) stage.fail(new Error(`stopped by ${signal}`));
    });
    const timeline = new Timeline(output, write);
    try {
      write(output.paint('dim', 'starting a control plane and three services, each a process of its own …'));
      write(
        output.paint(
          'dim',
          'nobody has to fail while payments is down: refused by the circuit, the inventory sells now and collects the deposit later',
        ),
      );
      const { record, rig } = await play(stage, timeline);
      playing = false;
      const promises = judge(record);
      const missed = promises.filter(({ kept }) => !kept).map(({ what }) => what);
      const tookMs = Math.round(io.clock.now() - start);
      timeline.close(record.scenes, promises);
      const { rest, grpcAddress: grpc, weatherUrl: weather } = rig;
      const addresses = keep ? { rest: rest.server, grpc, weather } : {};
      output.answer({ kept: missed.length === 0, tookMs, ...addresses, ...record, promises }, () => '');
      if (keep) {
        write(invitation(rig));
        await stage.during(interrupted);
      }
      if (missed.length > 0) throw new Error(`promises not kept: ${missed.join('; ')}`);
    } finally {
      await stage.close();
    }
  });
}

function invitation({ rest, grpcAddress, weatherUrl }: Rig): string {
  return `
It all keeps running until you press Ctrl-C. For example, in another terminal:

  curl -X POST ${weatherUrl}/weather/slow            # or failing, or healthy
  npx switchgear status --server ${rest.server}
  npx switchgear get circuits --server ${rest.server}
  npx switchgear explain payments --from inventory --server ${rest.server}
  npx switchgear delete ${POLICY} --server ${rest.server}
  curl -N ${rest.server}/v1/events

The REST interface describes itself at ${rest.server}/docs.
A service of your own joins with SWITCHGEAR_CONTROL_PLANE=${grpcAddress}.`;
}
