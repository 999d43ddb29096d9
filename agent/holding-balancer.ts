/**
 * What a channel does with calls while there is nowhere to send them: keep them until there is (nobody has said yet where the
 * instances are), or end them with the resolver's words (there are none). A resolver that merely stayed silent would do neither
 * well: grpc-js keeps such calls beyond their deadlines, and the process with them.
 */
import * as grpc from '@grpc/grpc-js';

const NAME = 'switchgear_hold';

/** In a service config's list, where `round_robin` would stand. */
export const holding = { [NAME]: {} };

/** Makes it known to this copy of grpc-js; again is as well as once. */
export function registerHolding(): void {
  grpc.experimental.registerLoadBalancerType(NAME, HoldingBalancer, HoldingConfig);
}

class HoldingConfig implements grpc.experimental.TypedLoadBalancingConfig {
  getLoadBalancerName(): string {
    return NAME;
  }

  toJsonObject(): object {
    return holding;
  }

  static createFromJson(): HoldingConfig {
    return new HoldingConfig();
  }
}

class HoldingBalancer implements grpc.experimental.LoadBalancer {
  readonly #channel: grpc.experimental.ChannelControlHelper;

  constructor(channel: grpc.experimental.ChannelControlHelper) {
    this.#channel = channel;
  }

  /** An error ends calls; anything else keeps them. */
  updateAddressList(endpoints: grpc.experimental.StatusOr<grpc.experimental.Endpoint[]>): boolean {
    const { CONNECTING, TRANSIENT_FAILURE } = grpc.connectivityState;
    if (endpoints.ok) {
      this.#channel.updateState(CONNECTING, new grpc.experimental.QueuePicker(this), null);
    } else {
      const picker = new grpc.experimental.UnavailablePicker(endpoints.error);
      this.#channel.updateState(TRANSIENT_FAILURE, picker, endpoints.error.details);
    }
    return true;
  }

  exitIdle(): void {}

  resetBackoff(): void {}

  destroy(): void {}

  getTypeName(): string {
    return NAME;
  }
}
