/**
 * The resolver of `platen:///SERVICE` targets: it follows a Directory and pushes each change to its channel.
 *
 * grpc-js knows resolvers by scheme, one class for the whole process; the directory therefore travels in the options of each
 * channel, and systems that share a process do not meet.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type ChannelOptions, experimental, Metadata, status } from "@grpc/grpc-js";
import type { Directory, Endpoint } from "./directory.ts";

const scheme = "platen";

/** Options with this prefix are for channels alone: connections are compared, and shared, without them. */
const watchOption = `${experimental.SUBCHANNEL_ARGS_EXCLUDE_KEY_PREFIX}.platen.watch`;

type Watch = (signal: AbortSignal) => AsyncIterable<readonly Endpoint[]>;

/** Target and options of a channel to the servers that `directory` lists for `service`. */
export function directoryTarget(
  service: string,
  directory: Directory,
): { target: string; options: ChannelOptions } {
  const watch: Watch = (signal) => directory.watch(service, signal);
  return { target: `${scheme}:///${service}`, options: { [watchOption]: watch } };
}

/** What the channel is told: each address once, or one server would get the requests of two. */
function resolve(endpoints: readonly Endpoint[]): { resolved: experimental.Endpoint[]; note: string } {
  const byAddress = new Map<string, experimental.Endpoint>();
  const unreadable: string[] = [];
  for (const { id, address } of endpoints) {
    const parsed = experimental.splitHostPort(address);
    if (!parsed?.port) unreadable.push(`${id} at "${address}"`);
    else byAddress.set(address, { addresses: [{ host: parsed.host, port: parsed.port }] });
  }
  const note = unreadable.length ? `not HOST:PORT: ${unreadable.join(", ")}` : "";
  return { resolved: [...byAddress.values()], note };
}

/** How long to wait before a broken watch is begun again: doubling from 100 ms to 5 s, half of it at random. */
const backoffMs = (failures: number): number =>
  Math.min(5000, 100 * 2 ** failures) * (0.5 + Math.random() / 2);

class DirectoryResolver implements experimental.Resolver {
  readonly #listener: experimental.ResolverListener;
  readonly #watch: Watch;
  #following: AbortController | undefined;

  constructor(
    _target: experimental.GrpcUri,
    listener: experimental.ResolverListener,
    options: ChannelOptions,
  ) {
    this.#listener = listener;
    this.#watch = options[watchOption] as Watch;
  }

  static getDefaultAuthority(target: experimental.GrpcUri): string {
    return target.path;
  }

  /** Begins to follow the directory. Once it does there is nothing to ask for: the directory speaks by itself. */
  updateResolution(): void {
    if (this.#following) return;
    this.#following = new AbortController();
    void this.#follow(this.#following.signal);
  }

  destroy(): void {
    this.#following?.abort();
    this.#following = undefined;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; failures++) {
      let reason = "it ended";
      try {
        for await (const endpoints of this.#watch(signal)) {
          if (signal.aborted) return;
          failures = 0;
          const { resolved, note } = resolve(endpoints);
          this.#listener(experimental.statusOrFromValue(resolved), {}, null, note);
        }
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
      if (signal.aborted) return;
      // The policies ignore this while they know servers: a directory that is away for a moment stops nobody.
      const details = `the directory of servers cannot be watched: ${reason}`;
      const failure = { code: status.UNAVAILABLE, details, metadata: new Metadata() };
      this.#listener(experimental.statusOrFromError(failure), {}, null, "");
      await delay(backoffMs(failures), undefined, { signal, ref: false }).catch(() => {});
    }
  }
}

experimental.registerResolver(scheme, DirectoryResolver);
