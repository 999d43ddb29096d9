/**
 * Payments, with a weather of its own: `POST /weather/slow`, `/weather/failing` or `/weather/healthy` on its second port (printed
 * at start, or `SHOP_WEATHER_LISTEN`) changes how it answers, `GET /` says how it is and how many calls reached it. It knows
 * nothing of breakers: it is the one that is protected from its callers as much as they from it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { connect } from '../../sdk/index.js';
import { type Deposit, type Order, Payments } from './proto.js';
import { serve } from './service.js';

const weathers = { healthy: { delayMs: 2 }, slow: { delayMs: 3000 }, failing: { delayMs: 2 } } as const;
type Weather = keyof typeof weathers;

let weather: Weather = 'healthy';
let calls = 0;

async function takeDeposit(
  call: ServerUnaryCall<Order, Deposit>,
  done: sendUnaryData<Deposit>,
): Promise<void> {
  calls += 1;
  const { delayMs } = weathers[weather];
  const fails = weather === 'failing';
  await pause(delayMs);
  if (fails) done({ code: status.INTERNAL, details: 'the bank does not answer' });
  else done(null, { order: call.request.id, cents: 1000 });
}

function answer({ method, url = '' }: IncomingMessage, response: ServerResponse): void {
  const wanted = url.replace(/^\/weather\//, '');
  if (method === 'POST' && Object.hasOwn(weathers, wanted)) weather = wanted as Weather;
  else if (url !== '/') {
    response.writeHead(404).end(`POST /weather/${Object.keys(weathers).join(', /weather/')}, or GET /\n`);
    return;
  }
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(`${JSON.stringify({ weather, calls })}\n`);
}

const control = createServer(answer);
const [host = '127.0.0.1', port = '0'] = (process.env.SHOP_WEATHER_LISTEN ?? '127.0.0.1:0').split(':');
await new Promise<void>((resolve) => control.listen(Number(port), host, resolve));

const mesh = await connect({ service: 'payments', version: '1.0.0' });
await serve(
  mesh,
  Payments.service,
  { takeDeposit },
  {
    ready: { weather: `http://${host}:${(control.address() as AddressInfo).port}` },
    close: () => control.close(),
  },
);
