/**
 * The key-value port on NATS KV buckets.
 *
 * A key is kept under itself and a last token "=" (`printer1` as `printer1.=`), so that one subject filter, `printer1.>`,
 * selects a prefix: itself, and all under it.
 */
import { setTimeout as delay } from "node:timers/promises";
import { hasCode, PlatenError } from "@platen/proto";
import { Empty, headers, type KV, type KvEntry, nanos, type StreamConfig } from "nats";
import type { Bucket, BucketOptions, Change, Entry, KeyValueStore } from "../../ports/key-value.ts";
import { checkKey, checkStoreName, checkValue } from "../../ports/names.ts";
import { ShownKeys } from "../shown-keys.ts";
import { DeletionMarkers } from "./deletion-markers.ts";
import { apiErrorCode, apiErrorOf, type NatsLink } from "./link.ts";
import { Mailbox } from "./mailbox.ts";

/** Opens the key-value store on a connection that stays the caller's. */
export function openNatsKeyValueStore(link: NatsLink): KeyValueStore {
  const markers = new DeletionMarkers(link);
  return {
    async bucket(name: string, options?: BucketOptions): Promise<Bucket> {
      checkStoreName(name);
      return openBucket(link, markers, `platen-${name}`, options);
    },
    [Symbol.asyncDispose]: () => markers[Symbol.asyncDispose](),
  };
}

/** Opens a bucket by the name that it has in NATS. */
export async function openBucket(
  link: NatsLink,
  markers: DeletionMarkers,
  name: string,
  { ttlMs }: BucketOptions = {},
): Promise<Bucket> {
  const kv = await link.call(
    `open the bucket ${name}`,
    async () => {
      const bucket = await link.js.views.kv(name, {
        history: 1,
        replicas: link.replicas,
        ...(ttlMs !== undefined && { ttl: ttlMs }),
      });
      const { config } = (await bucket.status()).streamInfo;
      await setTtl(link, config, ttlMs ?? 0);
      // Of several replicas one that lags behind may answer, and not know what this very client wrote: ask their leader.
      return config.num_replicas === 1 ? bucket : link.js.views.kv(name, { allow_direct: false });
    },
    { idempotent: true },
  );
  const bucket = new NatsBucket(link, kv, name, markers, ttlMs);
  // Where keys expire, deletions that a process did not live to remove expire too.
  if (ttlMs === undefined) markers.adopt(bucket.streamName, () => bucket.deletions());
  return bucket;
}

/** A bucket that exists takes the expiry that it is opened with. */
async function setTtl(link: NatsLink, config: StreamConfig, ttlMs: number): Promise<void> {
  const max_age = nanos(ttlMs);
  if (config.max_age === max_age) return;
  const twoMinutes = nanos(120_000);
  await link.manager.streams.update(config.name, {
    ...config,
    max_age,
    duplicate_window: max_age === 0 ? twoMinutes : Math.min(max_age, twoMinutes),
  });
}

const keySuffix = ".=";
const isDeletion = (entry: KvEntry): boolean => entry.operation !== "PUT";
/** The value is a copy: the message lies among others in one buffer, which would live as long as any of them. */
const entryOf = (entry: KvEntry): Entry => ({
  key: entry.key.slice(0, -keySuffix.length),
  value: new Uint8Array(entry.value),
  revision: entry.revision,
});

class NatsBucket implements Bucket {
  readonly streamName: string;
  readonly #link: NatsLink;
  readonly #kv: KV;
  readonly #name: string;
  readonly #markers: DeletionMarkers;
  readonly #ttlMs: number | undefined;

  constructor(link: NatsLink, kv: KV, name: string, markers: DeletionMarkers, ttlMs: number | undefined) {
    this.streamName = `KV_${name}`;
    this.#link = link;
    this.#kv = kv;
    this.#name = name;
    this.#markers = markers;
    this.#ttlMs = ttlMs;
  }

  async get(key: string): Promise<Entry | undefined> {
    checkKey(key);
    const found = await this.#find(key);
    return found && !isDeletion(found) ? entryOf(found) : undefined;
  }

  async create(key: string, value: Uint8Array): Promise<number> {
    checkKey(key);
    checkValue(value);
    // A deletion leaves a marker for a while, which is then what the new entry follows; it may go or come meanwhile.
    for (let previous = 0, tries = 0; ; tries++) {
      try {
        return await this.#write(key, value, previous);
      } catch (error) {
        if (apiErrorOf(error) !== apiErrorCode.wrongLastSequence) throw error;
        const found = await this.#find(key);
        if ((found && !isDeletion(found)) || tries === 10) throw conflict(key, found?.revision);
        previous = found?.revision ?? 0;
      }
    }
  }

  async update(key: string, value: Uint8Array, revision: number): Promise<number> {
    checkKey(key);
    checkValue(value);
    try {
      return await this.#write(key, value, revision);
    } catch (error) {
      if (apiErrorOf(error) !== apiErrorCode.wrongLastSequence) throw error;
      throw conflict(key, (await this.get(key))?.revision);
    }
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    checkKey(key);
    checkValue(value);
    return await this.#write(key, value);
  }

  async delete(key: string, revision?: number): Promise<void> {
    checkKey(key);
    const marker = headers();
    marker.set("KV-Operation", "DEL");
    try {
      const { seq } = await this.#link.call(
        `delete ${key}`,
        () =>
          this.#link.js.publish(`$KV.${this.#name}.${key}${keySuffix}`, Empty, {
            headers: marker,
            ...(revision !== undefined && { expect: { lastSubjectSequence: revision } }),
          }),
        { refusals: [apiErrorCode.wrongLastSequence] },
      );
      this.#markers.add(this.streamName, seq);
    } catch (error) {
      if (apiErrorOf(error) !== apiErrorCode.wrongLastSequence) throw error;
      const current = await this.get(key);
      if (current !== undefined) throw conflict(key, current.revision);
    }
  }

  async *entries(prefix?: string): AsyncGenerator<Entry> {
    const found = await this.#snapshot(prefix, false);
    const entries = found.filter((entry) => !isDeletion(entry)).map(entryOf);
    yield* entries.sort(byKey);
  }

  async *keys(prefix?: string): AsyncGenerator<string> {
    const found = await this.#snapshot(prefix, true);
    const entries = found.filter((entry) => !isDeletion(entry)).map(entryOf);
    for (const { key } of entries.sort(byKey)) yield key;
  }

  /** Sequence numbers of the markers that deletions left. */
  async deletions(): Promise<number[]> {
    return (await this.#snapshot(undefined, true)).filter(isDeletion).map((entry) => entry.revision);
  }

  async *watch(prefix: string | undefined, signal: AbortSignal): AsyncGenerator<Change> {
    const shown = new ShownKeys(this.#ttlMs);
    let isCurrent = false;
    // Each connection has a consumer of its own, that begins with what exists: it shows again, so nothing can be missed.
    while (!signal.aborted) {
      try {
        const existing = new Set<string>();
        let replayed = false;
        for await (const event of this.#follow(prefix, false, signal)) {
          if (event === "current") {
            replayed = true;
            for (const key of shown.missingFrom(existing)) yield deletion(key, shown);
            if (!isCurrent) yield { kind: "current" };
            isCurrent = true;
            continue;
          }
          const entry = entryOf(event);
          if (!replayed && !isDeletion(event)) existing.add(entry.key);
          if (shown.has(entry)) continue;
          if (!isDeletion(event)) {
            shown.add(entry);
            yield { kind: "put", entry };
          } else if (replayed || shown.knows(entry.key)) {
            yield deletion(entry.key, shown);
          }
        }
        if (!isCurrent && !signal.aborted) throw lostMeanwhile(this.#name);
      } catch (error) {
        if (signal.aborted) return;
        if (!isCurrent || this.#link.isClosed || !hasCode(error, "unavailable")) throw error;
        await delay(100, undefined, { signal }).catch(() => {});
      }
    }
  }

  #find(key: string): Promise<KvEntry | null> {
    return this.#link.call(`read ${key}`, () => this.#kv.get(key + keySuffix), { idempotent: true });
  }

  #write(key: string, value: Uint8Array, previousSeq?: number): Promise<number> {
    return this.#link.call(
      `write ${key}`,
      () => this.#kv.put(key + keySuffix, value, previousSeq === undefined ? {} : { previousSeq }),
      { refusals: [apiErrorCode.wrongLastSequence] },
    );
  }

  /** What there is under the prefix, deletions too. */
  async #snapshot(prefix: string | undefined, headersOnly: boolean): Promise<KvEntry[]> {
    // A key that is written meanwhile may be shown again.
    const found = new Map<string, KvEntry>();
    const never = new AbortController().signal;
    for await (const event of this.#follow(prefix, headersOnly, never)) {
      if (event === "current") return [...found.values()];
      found.set(event.key, event);
    }
    throw lostMeanwhile(this.#name);
  }

  /**
   * What a replay did not show though it was there: of a key that is written again between the replay's start and its turn,
   * the server drops the old message, and shows the new one only after the replay.
   */
  async #overlooked(prefix: string | undefined, shown: ReadonlySet<string>): Promise<KvEntry[]> {
    const root = `$KV.${this.#name}.`;
    const filter = `${root}${prefix === undefined ? ">" : `${prefix}.>`}`;
    const { state } = await this.#link.call(
      `look into the bucket ${this.#name}`,
      () => this.#link.manager.streams.info(this.streamName, { subjects_filter: filter }),
      { idempotent: true },
    );
    const keys = Object.keys(state.subjects ?? {}).map((subject) => subject.slice(root.length));
    const missed = keys
      .filter((key) => !shown.has(key))
      .map((key) => this.#find(key.slice(0, -keySuffix.length)));
    return (await Promise.all(missed)).filter((entry) => entry !== null);
  }

  /**
   * The last entry of each key under the prefix (a deletion is an entry), "current", then new ones as they come. Ends when
   * the signal aborts or the connection is lost.
   */
  async *#follow(
    prefix: string | undefined,
    headersOnly: boolean,
    signal: AbortSignal,
  ): AsyncGenerator<KvEntry | "current"> {
    if (prefix !== undefined) checkKey(prefix);
    const mailbox = new Mailbox<KvEntry | "current">();
    let replayed = false;
    const watcher = await this.#link.call(
      `watch the bucket ${this.#name}`,
      () =>
        this.#kv.watch({
          key: prefix === undefined ? ">" : `${prefix}.>`,
          headers_only: headersOnly,
          initializedFn: () => {
            replayed = true;
            mailbox.put("current");
          },
        }),
      { idempotent: true, signal, abandon: (late) => late.stop() },
    );
    const end = () => mailbox.end();
    const off = this.#link.onLost(end);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    const pump = async () => {
      // What existed is shown in full; later writes to one key may be shown as one.
      for await (const entry of watcher) mailbox.put(entry, replayed ? entry.key : undefined);
    };
    pump().then(end, (error: unknown) => mailbox.end(error));
    const shown = new Set<string>();
    let current = false;
    try {
      for await (const event of mailbox) {
        if (event === "current") {
          yield* await this.#overlooked(prefix, shown);
          current = true;
        } else if (!current) shown.add(event.key);
        yield event;
      }
    } finally {
      off();
      signal.removeEventListener("abort", end);
      watcher.stop();
    }
  }
}

const byKey = (a: Entry, b: Entry): number => (a.key < b.key ? -1 : 1);

function deletion(key: string, shown: ShownKeys): Change {
  shown.delete(key);
  return { kind: "delete", key };
}

const lostMeanwhile = (bucket: string): PlatenError =>
  new PlatenError(
    "unavailable",
    `cannot read the bucket ${bucket}: the connection to the NATS server is lost`,
  );

const conflict = (key: string, revision: number | undefined): PlatenError =>
  new PlatenError(
    "conflict",
    revision === undefined
      ? `${key} does not exist any more`
      : `${key} is at revision ${revision}: somebody else wrote it`,
  );
