/**
 * The live registry of servers, in the key-value store: each announces itself and keeps saying so; one that drains leaves at
 * once, one that dies is left out when it has been silent for the registry's time to live.
 * Structurally the `Directory` of the balancer.
 */
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import type { Bucket, KeyValueStore } from "../ports/key-value.ts";

const endpointSchema = z.object({ id: z.string(), address: z.string() });
/** A server: its id, and `host:port` or a base URL. */
export type RegisteredEndpoint = Readonly<z.infer<typeof endpointSchema>>;

export type ServiceName = "executors" | "instructors" | "result-stores";

export interface Announcement extends AsyncDisposable {
  /** Leaves the registry; requests under way go on. */
  withdraw(): Promise<void>;
}

export class Registry {
  readonly #bucket: Bucket;
  readonly #ttlMs: number;
  private constructor(bucket: Bucket, ttlMs: number) {
    this.#bucket = bucket;
    this.#ttlMs = ttlMs;
  }

  static async open(keyValue: KeyValueStore, ttlMs: number): Promise<Registry> {
    return new Registry(await keyValue.bucket("registry", { ttlMs }), ttlMs);
  }

  /** Announces a server until it is withdrawn or disposed. */
  async announce(service: ServiceName, endpoint: RegisteredEndpoint): Promise<Announcement> {
    const key = `${service}.${endpoint.id}`;
    const value = Buffer.from(JSON.stringify(endpoint));
    const stop = new AbortController();
    await this.#bucket.put(key, value);
    const heartbeat = (async () => {
      while (!stop.signal.aborted) {
        await delay(this.#ttlMs / 3, undefined, { signal: stop.signal }).catch(() => {});
        // A store that is away for a moment is no reason to stop: the next beat tries again.
        if (!stop.signal.aborted) await this.#bucket.put(key, value).catch(() => {});
      }
    })();
    const withdraw = async () => {
      stop.abort();
      await heartbeat;
      await this.#bucket.delete(key).catch(() => {});
    };
    return { withdraw, [Symbol.asyncDispose]: withdraw };
  }

  /** The servers of a service, now and whenever they change; ends when `signal` aborts. */
  async *watch(service: string, signal: AbortSignal): AsyncIterable<readonly RegisteredEndpoint[]> {
    const seen = new Map<string, { endpoint: RegisteredEndpoint; heardMs: number }>();
    let published: string | undefined;
    const changes = this.#bucket.watch(service, signal)[Symbol.asyncIterator]();
    let next = changes.next();
    let current = false;
    try {
      while (!signal.aborted) {
        // Expiry makes no change event, so a quiet registry is looked through as often as its servers should be heard.
        const change = await Promise.race([
          next,
          delay(this.#ttlMs / 3, "silence" as const, { signal }).catch(() => "silence" as const),
        ]);
        if (change !== "silence") {
          if (change.done) return;
          if (change.value.kind === "current") current = true;
          else if (change.value.kind === "delete") seen.delete(change.value.key);
          else {
            const endpoint = endpointSchema.safeParse(
              JSON.parse(Buffer.from(change.value.entry.value).toString()),
            );
            if (endpoint.success)
              seen.set(change.value.entry.key, { endpoint: endpoint.data, heardMs: performance.now() });
          }
          next = changes.next();
        }
        for (const [key, { heardMs }] of seen)
          if (performance.now() - heardMs > this.#ttlMs) seen.delete(key);
        const endpoints = [...seen.entries()]
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([, { endpoint }]) => endpoint);
        const state = JSON.stringify(endpoints);
        if (current && state !== published) {
          published = state;
          yield endpoints;
        }
      }
    } finally {
      await changes.return?.();
    }
  }
}
