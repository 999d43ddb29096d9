/**
 * The shop's messages and clients, from shop.proto. The types are written by hand, since three methods don't pay for a code
 * generator; a real service uses whatever it uses today, and nothing about that changes with a mesh.
 */
import { fileURLToPath } from 'node:url';
import {
  type CallOptions,
  type ChannelCredentials,
  type Client,
  type ClientOptions,
  loadPackageDefinition,
  Metadata,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

export interface Order {
  readonly id: string;
  readonly article: string;
}
export interface Receipt {
  readonly order: string;
  readonly reservation: Reservation;
}
export interface Reservation {
  readonly order: string;
  readonly depositTaken: boolean;
}
export interface Deposit {
  readonly order: string;
  readonly cents: number;
}

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: CallOptions,
  callback: (error: ServiceError | null, response?: Response) => void,
) => unknown;

export interface CheckoutClient extends Client {
  buy: Unary<Order, Receipt>;
}
export interface InventoryClient extends Client {
  reserve: Unary<Order, Reservation>;
}
export interface PaymentsClient extends Client {
  takeDeposit: Unary<Order, Deposit>;
}

interface ClientClass<C extends Client> {
  new (address: string, credentials: ChannelCredentials, options?: Partial<ClientOptions>): C;
  readonly service: ServiceDefinition;
}

const definition = loadSync(fileURLToPath(new URL('./shop.proto', import.meta.url)), { longs: Number });
const shop = loadPackageDefinition(definition) as unknown as {
  shop: {
    v1: {
      Checkout: ClientClass<CheckoutClient>;
      Inventory: ClientClass<InventoryClient>;
      Payments: ClientClass<PaymentsClient>;
    };
  };
};

export const { Checkout, Inventory, Payments } = shop.shop.v1;

/** A unary call as a promise, with a deadline in milliseconds from now. */
export function ask<Request, Response>(
  client: Client,
  method: Unary<Request, Response>,
  request: Request,
  deadlineMs: number,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + deadlineMs };
    method.call(client, request, new Metadata(), options, (error, response) => {
      if (error || response === undefined) reject(error ?? new Error('no response'));
      else resolve(response);
    });
  });
}
