/**
 * The inventory: reserves goods, and takes a deposit for them through payments. When payments says no, or says nothing in time,
 * the goods are reserved all the same and the deposit is left for the delivery. That is the shop's own decision; what the mesh
 * adds is that the no comes while the customer is still there.
 */
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { connect } from '../../sdk/index.js';
import { ask, Inventory, type Order, Payments, type Reservation } from './proto.js';
import { serve } from './service.js';

const DEPOSIT_MS = 5000;

const mesh = await connect({ service: 'inventory', version: '1.0.0', callees: ['payments'] });
const payments = mesh.client(Payments, 'payments');

async function reserve(
  call: ServerUnaryCall<Order, Reservation>,
  done: sendUnaryData<Reservation>,
): Promise<void> {
  const { id } = call.request;
  try {
    await ask(payments, payments.takeDeposit, call.request, DEPOSIT_MS);
    done(null, { order: id, depositTaken: true });
  } catch {
    done(null, { order: id, depositTaken: false });
  }
}

await serve(mesh, Inventory.service, { reserve });
