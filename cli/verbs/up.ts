/**
 * `switchgear up`: one replica of the control plane in this process, or several in workers. Standard output carries exactly one
 * line, JSON, once it is ready; everything else goes to standard error. SIGTERM and SIGINT drain: agents are told to go elsewhere, open requests are
 * finished, and the exit code is 0. A second signal ends it at once.
 */
import { Command } from 'commander';
import { listenForm, listenOf } from '../../control-plane/auth/listen.js';
import { connectionAgeForm, connectionAgeOf, defaultConnectionAge } from '../../control-plane/grpc/age.js';
import type { ControlPlane } from '../../control-plane/main.js';
import type { ControlPlaneOptions } from '../../control-plane/settings.js';
import type { Workers } from '../../control-plane/workers.js';
import type { Context } from '../context.js';
import { addSettings, usage } from '../settings.js';

interface UpOptions {
  readonly rest: string;
  readonly grpc: string;
  readonly store: string;
  readonly mesh: string;
  readonly replica?: string;
  readonly workers: number;
  readonly connectionAge: string;
  readonly policies?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly tokenFile?: string;
  readonly insecure?: boolean;
  readonly reflection?: boolean;
  readonly logLevel: string;
}

const details = `
Beyond loopback it starts only with TLS and tokens, or with --insecure. A line of the token file reads
"role name token", the role being viewer, operator or agent.

Once ready it prints one line of JSON: {"rest":"http://…","grpc":"host:port","store":"…","mesh":"…","replica":"…"},
with "workers":N at its end where there are several.`;

const WORKERS_MAX = 64;

export function upVerb(context: Context): Command {
  const command = new Command('up').description('run the control plane').addHelpText('after', details);
  addSettings(command, [
    {
      flags: '--rest <host:port>',
      about: 'where people and programs connect, port 0 for a free one',
      initial: '127.0.0.1:7480',
      parse: address,
    },
    {
      flags: '--grpc <host:port>',
      about: 'where agents connect, port 0 for a free one',
      initial: '127.0.0.1:7400',
      parse: address,
    },
    {
      flags: '--store <where>',
      about:
        'embedded:DIR, memory, redis://…, rediss://…, redis-sentinel://h1,h2/NAME or redis-cluster://h1,h2',
      initial: 'embedded:.switchgear',
    },
    { flags: '--mesh <name>', about: 'name of the mesh; several may share a Redis', initial: 'default' },
    { flags: '--replica <name>', about: 'name of this replica, unique in the mesh; made up if not given' },
    {
      flags: '--workers <count>',
      about: 'processes behind the same addresses, one for each core; several need a Redis',
      initial: 1,
      parse: workersOf,
    },
    {
      flags: '--connection-age <duration>',
      about: 'how old a stream gets before its agent is sent to another replica; 0: never',
      initial: defaultConnectionAge,
      parse: connectionAge,
    },
    { flags: '--policies <dir>', about: 'apply the policies of these files at start' },
    { flags: '--tls-cert <file>', about: 'certificate for both listeners, PEM' },
    { flags: '--tls-key <file>', about: 'its key, PEM' },
    { flags: '--tls-ca <file>', about: 'authority of client certificates, PEM' },
    { flags: '--token-file <file>', about: 'who may do what: a line "role name token" for each' },
    { flags: '--insecure', about: 'listen beyond loopback without TLS and tokens' },
    { flags: '--reflection', about: 'answer gRPC reflection' },
    {
      flags: '--log-level <level>',
      about: 'what to log',
      choices: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      initial: 'info',
    },
  ]);
  return command.action(async () => {
    const options = command.opts<UpOptions>();
    const { io } = context;
    // Heard from the start: a signal while it starts is a signal to stop.
    const interrupted = io.interrupted();
    let stopping = false;
    void interrupted.then(() => {
      stopping = true;
    });
    const starting = start(options.workers, {
      rest: options.rest,
      grpc: options.grpc,
      store: options.store,
      mesh: options.mesh,
      replica: options.replica,
      connectionAge: options.connectionAge,
      tls: tlsOf(options),
      tokenFile: options.tokenFile,
      policiesDir: options.policies,
      insecure: options.insecure,
      reflection: options.reflection,
      logLevel: options.logLevel,
    });
    const started = await starting.catch((error: unknown) => {
      // Ctrl-C reaches workers before they listen for it as well, and then it is what they ended of.
      if (stopping && options.workers > 1) return undefined;
      throw error;
    });
    if (!started) return;
    const { workers, failed, ...plane } = started;
    const { restUrl: rest, grpcAddress: grpc, store, mesh, replica } = plane;
    io.stdout.write(`${JSON.stringify({ rest, grpc, store, mesh, replica, workers })}\n`);
    await plane.close(await Promise.race([interrupted, ...(failed ? [failed] : [])]));
  });
}

/** Loaded here, so that the other verbs start without a web server, and the primary of several workers as well. */
async function start(
  workers: number,
  options: Omit<ControlPlaneOptions, 'logger' | 'clock' | 'random'>,
): Promise<ControlPlane & Partial<Pick<Workers, 'workers' | 'failed'>>> {
  if (workers === 1) {
    const { startControlPlane } = await import('../../control-plane/index.js');
    return startControlPlane(options);
  }
  const { startWorkers } = await import('../../control-plane/workers.js');
  return startWorkers(options, workers);
}

function workersOf(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= WORKERS_MAX) return count;
  throw new Error(`write a number of processes, 1 to ${WORKERS_MAX}`);
}

function connectionAge(text: string): string {
  if (connectionAgeOf(text) !== undefined) return text;
  throw new Error(connectionAgeForm);
}

/** Checked here already: only here is it known whether a flag or a variable said so. */
function address(text: string): string {
  if (listenOf(text)) return text;
  throw new Error(listenForm);
}

function tlsOf({
  tlsCert,
  tlsKey,
  tlsCa,
}: UpOptions): { cert: string; key: string; ca?: string } | undefined {
  if (tlsCert === undefined && tlsKey === undefined && tlsCa === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined)
    throw usage(`TLS needs both: ${tlsCert === undefined ? '--tls-cert' : '--tls-key'} is missing`);
  return { cert: tlsCert, key: tlsKey, ...(tlsCa === undefined ? {} : { ca: tlsCa }) };
}
