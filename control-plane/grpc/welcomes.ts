/**
 * The first word to each agent, which is the same for all and encoded once, but for those that there is something to remark about; and
 * the word that says no more than that we are here.
 */
import { protocolVersion } from '../../proto/messages.js';
import type { Mirror } from '../ports.js';
import type { Encode } from './bodies.js';
import { intervals } from './intervals.js';

export interface Host {
  readonly mesh: string;
  readonly replica: string;
  readonly mirror: Pick<Mirror, 'dataset'>;
}

export class Welcomes {
  readonly #source: Host;
  readonly #encode: Encode;
  readonly heartbeat: Buffer;
  #plain: { readonly dataset: string; readonly bytes: Buffer } | undefined;

  constructor(source: Host, encode: Encode) {
    this.#source = source;
    this.#encode = encode;
    this.heartbeat = encode({ message: 'heartbeat', heartbeat: {} });
  }

  /** `notice`: for a person to see; empty: nothing. */
  of(notice: string): Buffer {
    const { dataset } = this.#source.mirror;
    if (notice !== '') return this.#bytes(dataset, notice);
    if (this.#plain?.dataset !== dataset) this.#plain = { dataset, bytes: this.#bytes(dataset, '') };
    return this.#plain.bytes;
  }

  #bytes(dataset: string, error: string): Buffer {
    const { mesh, replica } = this.#source;
    const welcome = { mesh, dataset, protocol: protocolVersion, replica, intervals, error };
    return this.#encode({ message: 'welcome', welcome });
  }
}
