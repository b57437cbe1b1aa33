/**
 * The policy `platen_live`: what every balancing policy needs when servers come and go, around a child policy that chooses.
 *
 * 1. Nobody there: calls wait, each as long as its deadline lasts. `pick_first` of grpc-js fails them at once.
 * 2. A server that left gets no new call. `pick_first` of grpc-js stays with it until another one is connected, and for ever
 *    when the list is empty; so it is begun anew. Its calls under way go on: each holds its connection until it ends. grpc-js
 *    would begin to close the connection, ping it all the same, which Node cannot do then, and give it up with its calls.
 * 3. A certificate is checked against the host of the server. grpc-js checks it against the target, here a mere service name.
 */
import { connectivityState, experimental } from "@grpc/grpc-js";

export const liveEndpointsPolicy = "platen_live";

class LiveEndpointsConfig implements experimental.TypedLoadBalancingConfig {
  readonly child: experimental.TypedLoadBalancingConfig;
  constructor(child: experimental.TypedLoadBalancingConfig) {
    this.child = child;
  }
  static createFromJson(json: { child: experimental.TypedLoadBalancingConfig }): LiveEndpointsConfig {
    return new LiveEndpointsConfig(experimental.parseLoadBalancingConfig(json.child as never));
  }
  getLoadBalancerName(): string {
    return liveEndpointsPolicy;
  }
  toJsonObject(): object {
    return { [liveEndpointsPolicy]: { child: this.child.toJsonObject() } };
  }
}

/** Lets each call hold the connection on which it runs. */
class HoldingPicker implements experimental.Picker {
  readonly #child: experimental.Picker;
  constructor(child: experimental.Picker) {
    this.#child = child;
  }
  pick(args: experimental.PickArgs): experimental.PickResult {
    const result = this.#child.pick(args);
    const { subchannel } = result;
    if (!subchannel) return result;
    return {
      ...result,
      onCallStarted: () => {
        subchannel.ref();
        result.onCallStarted?.();
      },
      onCallEnded: (code, details, metadata) => {
        result.onCallEnded?.(code, details, metadata);
        subchannel.unref();
      },
    };
  }
}

class LiveEndpoints implements experimental.LoadBalancer {
  readonly #helper: experimental.ChannelControlHelper;
  readonly #child: experimental.ChildLoadBalancerHandler;
  #known: ReadonlySet<string> = new Set();

  constructor(helper: experimental.ChannelControlHelper) {
    this.#helper = helper;
    this.#child = new experimental.ChildLoadBalancerHandler(
      experimental.createChildChannelControlHelper(helper, {
        createSubchannel: (address, args) =>
          helper.createSubchannel(address, {
            ...("host" in address && { "grpc.ssl_target_name_override": address.host }),
            ...args,
          }),
        updateState: (state, picker, error) => helper.updateState(state, new HoldingPicker(picker), error),
      }),
    );
  }

  updateAddressList(
    endpoints: experimental.StatusOr<experimental.Endpoint[]>,
    config: experimental.TypedLoadBalancingConfig,
    options: Parameters<experimental.LoadBalancer["updateAddressList"]>[2],
    note: string,
  ): boolean {
    if (!(config instanceof LiveEndpointsConfig)) return false;
    if (endpoints.ok) {
      const listed = new Set(endpoints.value.map(experimental.endpointToString));
      const someLeft = this.#known.difference(listed).size > 0;
      this.#known = listed;
      if (listed.size === 0) {
        this.#child.destroy();
        const wait = new experimental.QueuePicker(this);
        this.#helper.updateState(connectivityState.CONNECTING, wait, null);
        return true;
      }
      if (someLeft && config.child.getLoadBalancerName() === "pick_first") this.#child.destroy();
    }
    return this.#child.updateAddressList(endpoints, config.child, options, note);
  }

  exitIdle(): void {
    this.#child.exitIdle();
  }

  resetBackoff(): void {
    this.#child.resetBackoff();
  }

  destroy(): void {
    this.#child.destroy();
  }

  getTypeName(): string {
    return liveEndpointsPolicy;
  }
}

experimental.registerLoadBalancerType(liveEndpointsPolicy, LiveEndpoints, LiveEndpointsConfig);
