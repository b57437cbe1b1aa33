/**
 * The policy `least_loaded` (claim 6): each call goes to the server with the fewest calls of this client under way; of equals
 * to the one that was picked longest ago, which is round robin when all are equal. A stream counts until it ends.
 *
 * The load is what this client has under way, not what a server reports: it is never out of date, and a server that is slow
 * for any reason (its work, its machine, the network) shows by what stays with it. A server that answered UNAVAILABLE is left
 * alone for a second.
 */
import { connectivityState, experimental, status } from "@grpc/grpc-js";

const leastLoadedPolicy = "least_loaded";

/** How long a server that answered UNAVAILABLE is left alone if there is another one, milliseconds. */
const shunMs = 1000;

/** One server. */
interface Leaf {
  readonly balancer: experimental.LeafLoadBalancer;
  /** Calls under way, and those picked that have not begun yet. */
  underWay: number;
  /** The turn in which it was picked last; 0 for never. */
  pickedAt: number;
  /** Until when it is left alone: a server that refuses at once has nothing under way, and would draw all calls. */
  shunnedUntilMs: number;
}

function isBetter(leaf: Leaf, other: Leaf, nowMs: number): boolean {
  const [shunned, otherShunned] = [leaf.shunnedUntilMs > nowMs, other.shunnedUntilMs > nowMs];
  if (shunned !== otherShunned) return otherShunned;
  if (leaf.underWay !== other.underWay) return leaf.underWay < other.underWay;
  return leaf.pickedAt < other.pickedAt;
}

/**
 * A call that was sent to a leaf. grpc-js says that a call starts only when the others of a burst are picked as well, and all
 * would go to the same server: it counts from the pick on. Picks that come to nothing (the caller canceled, the connection
 * broke) are never told to end; they are noticed by not having started when the microtasks are through, and counted off.
 */
interface Sent {
  readonly leaf: Leaf;
  started: boolean;
  counted: boolean;
}

class LeastLoadedPicker implements experimental.Picker {
  readonly #ready: readonly Leaf[];
  readonly #nextTurn: () => number;
  #fresh: Sent[] = [];

  constructor(ready: readonly Leaf[], nextTurn: () => number) {
    this.#ready = ready;
    this.#nextTurn = nextTurn;
  }

  pick(args: experimental.PickArgs): experimental.PickResult {
    const nowMs = performance.now();
    const leaf = this.#ready.reduce((best, other) => (isBetter(other, best, nowMs) ? other : best));
    const result = leaf.balancer.getPicker().pick(args);
    if (result.pickResultType !== experimental.PickResultType.COMPLETE) return result;
    leaf.pickedAt = this.#nextTurn();
    const sent = this.#count(leaf);
    return {
      ...result,
      onCallStarted: () => {
        sent.started = true;
        // Call credentials that take their time let a call start after it was counted off.
        if (!sent.counted) leaf.underWay++;
        result.onCallStarted?.();
      },
      onCallEnded: (code, details, metadata) => {
        leaf.underWay--;
        if (code === status.UNAVAILABLE) leaf.shunnedUntilMs = performance.now() + shunMs;
        result.onCallEnded?.(code, details, metadata);
      },
    };
  }

  #count(leaf: Leaf): Sent {
    const sent: Sent = { leaf, started: false, counted: true };
    leaf.underWay++;
    if (this.#fresh.push(sent) === 1) setImmediate(() => this.#countOff());
    return sent;
  }

  #countOff(): void {
    for (const sent of this.#fresh) {
      if (sent.started) continue;
      sent.counted = false;
      sent.leaf.underWay--;
    }
    this.#fresh = [];
  }
}

class LeastLoadedConfig implements experimental.TypedLoadBalancingConfig {
  static createFromJson(): LeastLoadedConfig {
    return new LeastLoadedConfig();
  }
  getLoadBalancerName(): string {
    return leastLoadedPolicy;
  }
  toJsonObject(): object {
    return { [leastLoadedPolicy]: {} };
  }
}

class LeastLoaded implements experimental.LoadBalancer {
  readonly #helper: experimental.ChannelControlHelper;
  readonly #leafHelper: experimental.ChannelControlHelper;
  #leaves: ReadonlyMap<string, Leaf> = new Map();
  #turn = 0;
  #updating = false;
  #lastError = "";

  constructor(helper: experimental.ChannelControlHelper) {
    this.#helper = helper;
    this.#leafHelper = experimental.createChildChannelControlHelper(helper, {
      updateState: (_state, _picker, error) => {
        if (error) this.#lastError = error;
        this.#publish();
      },
    });
  }

  updateAddressList(
    endpoints: experimental.StatusOr<experimental.Endpoint[]>,
    config: experimental.TypedLoadBalancingConfig,
    options: Parameters<experimental.LoadBalancer["updateAddressList"]>[2],
    note: string,
  ): boolean {
    if (!(config instanceof LeastLoadedConfig)) return false;
    if (!endpoints.ok) {
      if (this.#leaves.size === 0) this.#fail(endpoints.error.details);
      return true;
    }
    // A server that stays keeps its connection and its count.
    const before = this.#leaves;
    this.#updating = true;
    this.#leaves = new Map(
      endpoints.value.map((endpoint) => {
        const key = experimental.endpointToString(endpoint);
        return [key, before.get(key) ?? this.#connect(endpoint, options, note)];
      }),
    );
    for (const [key, leaf] of before) if (!this.#leaves.has(key)) leaf.balancer.destroy();
    this.#updating = false;
    this.#publish();
    return true;
  }

  #connect(
    endpoint: experimental.Endpoint,
    options: ConstructorParameters<typeof experimental.LeafLoadBalancer>[2],
    note: string,
  ): Leaf {
    const balancer = new experimental.LeafLoadBalancer(endpoint, this.#leafHelper, options, note);
    balancer.startConnecting();
    return { balancer, underWay: 0, pickedAt: 0, shunnedUntilMs: 0 };
  }

  /** Tells the channel how the leaves stand together: ready as soon as one is. */
  #publish(): void {
    if (this.#updating) return;
    const leaves = [...this.#leaves.values()];
    const inState = (state: connectivityState) =>
      leaves.filter(({ balancer }) => balancer.getConnectivityState() === state);
    const ready = inState(connectivityState.READY);
    if (ready.length) {
      const picker = new LeastLoadedPicker(ready, () => ++this.#turn);
      this.#helper.updateState(connectivityState.READY, picker, null);
    } else if (
      !inState(connectivityState.CONNECTING).length &&
      inState(connectivityState.TRANSIENT_FAILURE).length
    ) {
      this.#fail(`no server can be reached: ${this.#lastError}`);
    } else {
      this.#helper.updateState(connectivityState.CONNECTING, new experimental.QueuePicker(this), null);
    }
    // A connection that broke is made again at once, not with the next call.
    for (const { balancer } of inState(connectivityState.IDLE)) balancer.exitIdle();
  }

  #fail(details: string): void {
    const picker = new experimental.UnavailablePicker({ details });
    this.#helper.updateState(connectivityState.TRANSIENT_FAILURE, picker, details);
  }

  /** Nothing to do: no leaf is ever left idle. */
  exitIdle(): void {}

  /** Nothing to do: connections back off by themselves. */
  resetBackoff(): void {}

  destroy(): void {
    for (const { balancer } of this.#leaves.values()) balancer.destroy();
    this.#leaves = new Map();
  }

  getTypeName(): string {
    return leastLoadedPolicy;
  }
}

experimental.registerLoadBalancerType(leastLoadedPolicy, LeastLoaded, LeastLoadedConfig);
