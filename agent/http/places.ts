/**
 * Where the HTTP instances of a callee are, by the same rule as for gRPC: before anybody has said, a call waits within its time;
 * an empty list is an answer, and says what to do. Turns are kept for as long as a list holds: a new list begins anew.
 *
 * Bound: the lists belong to `Instances`, and the turns go with them; a watcher for each call that waits.
 */
import { MeshError } from '../../core/errors.js';
import type { Random } from '../../core/random.js';
import type { Endpoint } from '../../proto/messages.js';
import { parseAddress } from '../addresses.js';
import type { Directory } from '../resolver.js';
import { Balance, type Weighted } from './balance.js';

export class Places {
  readonly #directory: Directory;
  readonly #random: Random;
  readonly #balances = new WeakMap<readonly Endpoint[], Balance>();
  /** Calls that wait for a first answer. */
  readonly #waiting = new Set<() => void>();
  #closed = false;

  constructor(directory: Directory, random: Random) {
    this.#directory = directory;
    this.#random = random;
  }

  /** Undefined: nobody has said yet. Throws `no_instances`. */
  get(service: string): Balance | undefined {
    const endpoints = this.#directory.get(service);
    if (endpoints === undefined) return undefined;
    let balance = this.#balances.get(endpoints);
    if (!balance) {
      balance = new Balance(usable(endpoints), this.#random.next());
      this.#balances.set(endpoints, balance);
    }
    if (balance.size === 0) throw nobody(service, endpoints);
    return balance;
  }

  /** Whether this is where an instance is, for what a URL calls host: the port 80 goes without saying. */
  has(service: string, host: string): boolean {
    const endpoints = this.#directory.get(service);
    const balance = endpoints && this.#balances.get(endpoints);
    return balance !== undefined && (balance.has(host) || balance.has(`${host}:80`));
  }

  /** Waits for the first answer. Rejects with `no_instances`, with `mesh_closed`, or with the signal's reason. */
  wait(service: string, signal: AbortSignal): Promise<Balance> {
    return new Promise((resolve, reject) => {
      let leave = () => {};
      const end = () => {
        leave();
        this.#waiting.delete(look);
        signal.removeEventListener('abort', look);
      };
      const look = () => {
        try {
          signal.throwIfAborted();
          const balance = this.get(service);
          if (!balance && !this.#closed) return;
          end();
          if (balance) resolve(balance);
          else reject(closedWhileWaiting(service));
        } catch (error) {
          end();
          reject(error);
        }
      };
      leave = this.#directory.watch(service, look);
      this.#waiting.add(look);
      signal.addEventListener('abort', look);
      look();
    });
  }

  /** Rejects what waits. */
  close(): void {
    this.#closed = true;
    for (const look of [...this.#waiting]) look();
  }
}

/** Addresses that an HTTP client can connect to, each once. */
function usable(endpoints: readonly Endpoint[]): Weighted[] {
  const found = new Map<string, Weighted>();
  for (const { address, protocol, weight } of endpoints)
    if (protocol === 'http' && parseAddress(address) && URL.canParse(`http://${address}`))
      found.set(address, { address, weight: Math.max(1, weight) });
  return [...found.values()];
}

function nobody(service: string, endpoints: readonly Endpoint[]): MeshError {
  const [first] = endpoints;
  const text = first
    ? `none of its ${endpoints.length} instances speaks HTTP (the first registered ${first.protocol || 'grpc'} at ${first.address}); register with protocol: 'http'`
    : "no instance is registered; start one that calls mesh.register({ port, protocol: 'http' }), and see `switchgear get services`";
  return new MeshError('no_instances', text, { target: service });
}

function closedWhileWaiting(target: string): MeshError {
  return new MeshError('mesh_closed', 'the mesh was closed while this call waited for an instance', {
    target,
  });
}
