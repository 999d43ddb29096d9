/**
 * The REST face put together: fastify with its own parsing, validation and serialisation switched off in favour of ours, the
 * hooks that every request passes (who are you, how long did it take, is the answer stale), and the rooms' routes. Whatever goes
 * wrong anywhere leaves as a problem document; nothing a client sends can end the process.
 */
import type { Socket } from 'node:net';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { MeshError, messageOf } from '../../core/errors.js';
import type { TlsMaterial } from '../auth/tls.js';
import { agentRoutes } from './agents.js';
import { applyRoutes } from './apply.js';
import { auditRoutes } from './audit.js';
import { acceptTexts, BODY_SIZE_MAX } from './body.js';
import { brownoutRoutes } from './brownout.js';
import { circuitRoutes } from './circuits.js';
import type { App, RestContext } from './context.js';
import { eventRoutes } from './events.js';
import { explainRoutes } from './explain.js';
import { operationRoutes } from './health.js';
import { historyRoutes } from './history.js';
import { noteMethods } from './methods.js';
import { formOf } from './negotiate.js';
import { collectOperations, openapiRoutes, packageVersion } from './openapi.js';
import { refuseForeignOrigin } from './origins.js';
import { overrideRoutes } from './overrides.js';
import { policyRoutes } from './policies.js';
import { normalise, problemHeaders, problemOf, problemType, reasonPhrase } from './problem.js';
import { serviceRoutes } from './services.js';
import { statusRoutes } from './status.js';

/** A request has this long to arrive whole; a stream of events is an answer and isn't bound by it. */
const REQUEST_TIMEOUT_MS = 30_000;
const CONNECTIONS_MAX = 4096;
const PATH_PARAMETER_LENGTH_MAX = 1024;

/** The application, ready to `listen` or to be asked through `inject`. */
export async function buildRest(context: RestContext, tls?: TlsMaterial): Promise<App> {
  const app = createApp(context, tls);
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => JSON.stringify);
  acceptTexts(app);
  addHooks(app, context);
  app.setErrorHandler((error, request, reply) => answerProblem(context, error, request, reply));
  app.setNotFoundHandler((request) => {
    throw new MeshError('not_found', `there is no ${pathOf(request)} here; /docs shows what there is`);
  });
  const refuseOtherMethods = noteMethods(app);
  await collectOperations(app, packageVersion());
  for (const routes of [
    policyRoutes,
    historyRoutes,
    statusRoutes,
    applyRoutes,
    serviceRoutes,
    agentRoutes,
    circuitRoutes,
    overrideRoutes,
    brownoutRoutes,
    explainRoutes,
    eventRoutes,
    auditRoutes,
    operationRoutes,
  ])
    routes(app, context);
  refuseOtherMethods();
  await openapiRoutes(app);
  await app.ready();
  return app;
}

function createApp(context: RestContext, tls: TlsMaterial | undefined): App {
  const app = Fastify({
    // fastify's types tell http and https apart; everything here is the same for both.
    ...(tls === undefined ? {} : ({ https: httpsOptions(tls) } as object)),
    bodyLimit: BODY_SIZE_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    logger: false,
    routerOptions: { maxParamLength: PATH_PARAMETER_LENGTH_MAX },
    frameworkErrors: (error, request, reply) => answerProblem(context, error, request, reply as FastifyReply),
    clientErrorHandler: answerBrokenRequest,
  });
  app.server.maxConnections = CONNECTIONS_MAX;
  if (tls?.ca !== undefined) app.server.on('secureConnection', dropForeignCertificate);
  return app;
}

/** Clients may come without a certificate (tokens say who they are); one that they do present has to be from our authority. */
function httpsOptions({ cert, key, ca }: TlsMaterial): object {
  return {
    cert,
    key,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: false }),
  };
}

function dropForeignCertificate(
  socket: Socket & { authorized?: boolean; getPeerCertificate?(): object },
): void {
  const certificate = socket.getPeerCertificate?.();
  if (certificate && Object.keys(certificate).length > 0 && socket.authorized === false) socket.destroy();
}

function addHooks(app: App, { authenticator, clock, mirror, onLoopback, telemetry }: RestContext): void {
  app.decorateRequest('author', '');
  app.decorateRequest('form', 'json');
  app.decorateRequest('arrivedAt', 0);
  // Before the body is read: who may not ask doesn't get to send a megabyte.
  app.addHook('onRequest', async (request) => {
    request.arrivedAt = clock.now();
    const access = accessOf(request);
    if (access !== 'open')
      request.author = authenticator.authorize(request.headers.authorization, access).name;
    if (!authenticator.required) refuseForeignOrigin(request.headers, onLoopback);
    const { forms, needsStore } = request.routeOptions.config;
    if (isOurs(request) && forms?.length !== 0) request.form = formOf(request.headers.accept, forms);
    // Before the first load everything would look empty, and an empty answer is a wrong one.
    if (mirror.dataset === '' && needsStore) throw new MeshError('store_unavailable', mirror.health.reason);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    reply.header('x-content-type-options', 'nosniff');
    if (!isOurs(request)) return payload;
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-cache');
    if (!mirror.health.up) reply.header('switchgear-stale', 'true');
    return payload;
  });
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions, arrivedAt } = request;
    // What is no valid path has no route, and never came past the first hook.
    const durationMs = arrivedAt === 0 ? 0 : clock.now() - arrivedAt;
    telemetry.request(method, routeOptions.url ?? 'none', reply.statusCode, durationMs);
  });
}

/** A resource of the mesh, and not health, metrics or the page. */
function isOurs({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.url?.startsWith('/v1/') ?? false;
}

/** A dry run of a write reads. Only the exact word counts, as it does where the write is decided. */
function accessOf(request: FastifyRequest) {
  if (request.is404) return 'viewer';
  const access = request.routeOptions.config.access ?? 'operator';
  const { dryRun } = request.query as { dryRun?: unknown };
  return access === 'operator' && dryRun === 'true' ? 'viewer' : access;
}

function answerProblem(
  { logger, random }: RestContext,
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const error = normalise(thrown);
  const reference = random.hex(4);
  const problem = problemOf(error, request.url, reference);
  if (problem.code === 'internal' || problem.code === 'store_corrupt')
    logger.error(
      { method: request.method, path: problem.instance, reference, ...causeOf(error) },
      'a request failed',
    );
  void reply
    .code(problem.status)
    .headers(problemHeaders(error, problem.status))
    .serializer((payload: unknown) => payload as string)
    .send(JSON.stringify(problem));
}

function causeOf(error: MeshError): object {
  const { cause } = error;
  return {
    error: cause === undefined ? error.message : messageOf(cause),
    stack: cause instanceof Error ? cause.stack : undefined,
  };
}

/** What is not even HTTP, or came too slowly: a problem by hand, since no request exists yet. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
  const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const text = tooLarge
    ? 'the headers are larger than 16 KiB'
    : late
      ? `the request did not arrive within ${REQUEST_TIMEOUT_MS / 1000} s`
      : 'this is not HTTP/1.1';
  const status = tooLarge ? 431 : late ? 408 : 400;
  const body = JSON.stringify({ ...problemOf(new MeshError('invalid_request', text), '', ''), status });
  socket.end(
    `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\ncontent-type: ${problemType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function pathOf({ url }: FastifyRequest): string {
  return (url.split('?')[0] ?? '').slice(0, 200);
}
