/**
 * The settings of a control plane: what `switchgear up` has as flags and a program as options, read, completed and checked as a
 * whole before anything is opened. Each fault names its flag.
 */
import { type Clock, systemClock } from '../core/clock.js';
import { MeshError } from '../core/errors.js';
import { type Random, systemRandom } from '../core/random.js';
import { checkListenPolicy, formatListen, type Listen, parseListen } from './auth/listen.js';
import { readTls, type TlsMaterial, type TlsOptions } from './auth/tls.js';
import { checkTokens, readTokenFile, TokenBook, type TokenEntry } from './auth/tokens.js';
import { connectionAgeForm, connectionAgeOf, defaultConnectionAge } from './grpc/age.js';
import { createLogger, type Logger } from './telemetry/logger.js';

/** The flags of `switchgear up`, by the same names and in the same forms. */
export interface ControlPlaneOptions {
  /** `host:port`; port 0 picks a free one. Default `127.0.0.1:7480`. */
  rest?: string | undefined;
  /** `host:port`; port 0 picks a free one. Default `127.0.0.1:7400`. */
  grpc?: string | undefined;
  /** `memory`, `embedded:DIR`, `redis://…`, `rediss://…`, `redis-sentinel://…`, `redis-cluster://…`. Default `embedded:.switchgear`. */
  store?: string | undefined;
  /** Default `default`. */
  mesh?: string | undefined;
  /** Unique among the replicas of a mesh. Default: a random name. */
  replica?: string | undefined;
  /** Files, or PEM texts, for both listeners. */
  tls?: TlsOptions | undefined;
  tokenFile?: string | undefined;
  /** Instead of a file. */
  tokens?: readonly TokenEntry[] | undefined;
  /** Listen beyond loopback without TLS or tokens all the same. */
  insecure?: boolean | undefined;
  /** A directory of YAML and JSON files that are applied before anybody is served. */
  policiesDir?: string | undefined;
  /** gRPC server reflection, for tools. */
  reflection?: boolean | undefined;
  /**
   * How old a stream gets before its agent is told to go to another replica, ± 10 %, and whether a replica with more than its share
   * sends some away at all: `30m`, `10s` to `24h`, or `0` for never. Default `30m`.
   */
  connectionAge?: string | undefined;
  /** Default: pino on standard error at `logLevel`. */
  logger?: Logger | undefined;
  /** Default: `SWITCHGEAR_LOG_LEVEL`, or `info`. */
  logLevel?: string | undefined;
  clock?: Clock | undefined;
  random?: Random | undefined;
}

export interface Settings {
  readonly rest: Listen;
  readonly grpc: Listen;
  readonly store: string;
  readonly mesh: string;
  readonly replica: string;
  readonly tls: TlsMaterial | undefined;
  readonly book: TokenBook | undefined;
  readonly policiesDir: string | undefined;
  readonly reflection: boolean;
  /** 0: never. */
  readonly connectionAgeMs: number;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

const REPLICA = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** Throws `invalid_configuration`. */
export async function readSettings(options: ControlPlaneOptions): Promise<Settings> {
  const { clock = systemClock, random = systemRandom, mesh = 'default', insecure = false } = options;
  const replica = options.replica ?? `replica-${random.hex(4)}`;
  if (!REPLICA.test(replica))
    throw new MeshError(
      'invalid_configuration',
      '--replica has to be up to 128 letters, digits and ._-, starting with a letter or digit',
    );
  const rest = parseListen(options.rest ?? '127.0.0.1:7480', '--rest');
  const grpc = parseListen(options.grpc ?? '127.0.0.1:7400', '--grpc');
  const connectionAgeMs = readConnectionAge(options.connectionAge);
  const level = options.logLevel ?? process.env.SWITCHGEAR_LOG_LEVEL ?? 'info';
  const logger = options.logger ?? createLogger(level, { mesh, replica });
  const tls = options.tls === undefined ? undefined : await readTls(options.tls);
  const book = await readTokens(options);
  const listeners = [
    { flag: '--rest', listen: rest },
    { flag: '--grpc', listen: grpc },
  ];
  checkListenPolicy(listeners, { tls: tls !== undefined, tokens: book !== undefined, insecure });
  if (insecure && (tls === undefined || book === undefined))
    logger.warn(
      {
        rest: formatListen(rest),
        grpc: formatListen(grpc),
        tls: tls !== undefined,
        tokens: book !== undefined,
      },
      'INSECURE: whoever reaches these addresses controls the mesh',
    );
  return {
    rest,
    grpc,
    store: options.store ?? 'embedded:.switchgear',
    mesh,
    replica,
    tls,
    book,
    policiesDir: options.policiesDir,
    reflection: options.reflection ?? false,
    connectionAgeMs,
    logger,
    clock,
    random,
  };
}

function readConnectionAge(text = defaultConnectionAge): number {
  const ms = connectionAgeOf(text);
  if (ms !== undefined) return ms;
  throw new MeshError(
    'invalid_configuration',
    `--connection-age "${text.slice(0, 200)}" is none: ${connectionAgeForm}`,
  );
}

async function readTokens({ tokenFile, tokens }: ControlPlaneOptions): Promise<TokenBook | undefined> {
  if (tokenFile !== undefined && tokens !== undefined)
    throw new MeshError('invalid_configuration', 'give a token file (--token-file) or tokens, not both');
  if (tokenFile !== undefined) return new TokenBook(await readTokenFile(tokenFile));
  return tokens === undefined ? undefined : new TokenBook(checkTokens(tokens));
}
