/**
 * The checkout: asks the inventory to reserve what a customer buys. It is an ordinary gRPC service; that its calls are protected
 * is the two lines with `mesh`.
 */
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { connect } from '../../sdk/index.js';
import { ask, Checkout, Inventory, type Order, type Receipt } from './proto.js';
import { serve } from './service.js';

/** Longer than a customer waits: whoever calls sets the deadline that matters. */
const RESERVE_MS = 4000;

const mesh = await connect({ service: 'checkout', version: '1.0.0', callees: ['inventory'] });
const inventory = mesh.client(Inventory, 'inventory');

async function buy(call: ServerUnaryCall<Order, Receipt>, done: sendUnaryData<Receipt>): Promise<void> {
  try {
    const reservation = await ask(inventory, inventory.reserve, call.request, RESERVE_MS);
    done(null, { order: call.request.id, reservation });
  } catch (error) {
    done(error as Error);
  }
}

await serve(mesh, Checkout.service, { buy });
