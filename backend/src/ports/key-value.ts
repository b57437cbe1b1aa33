/**
 * The key-value port: session records, tokens, results, jobs, registrations. NATS KV or an embedded SQLite file.
 * One contract suite (`key-value.contract.ts`) runs on every adapter.
 */

/**
 * Keys are one or more segments of letters, digits, "-" and "_", joined by ".", at most 200 characters.
 * A prefix is a key that stands for itself and for all keys that go on with "." after it. A value holds at most 1,000,000 bytes
 * (`names.ts` checks all of it). Every operation throws `unavailable` when the store cannot be reached in bounded time; a
 * write that fails so may have been done all the same.
 */
export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Grows with every write to the bucket; what `update` and `delete` compare. */
  readonly revision: number;
}

export type Change =
  | { readonly kind: "put"; readonly entry: Entry }
  | { readonly kind: "delete"; readonly key: string }
  /** Once, after the entries that existed when the watch began. */
  | { readonly kind: "current" };

export interface Bucket {
  /** The entry, or undefined when it does not exist or has expired. */
  get(key: string): Promise<Entry | undefined>;
  /** Writes a key that must not exist; of simultaneous creators exactly one wins. Throws `conflict`. Resolves to the revision. */
  create(key: string, value: Uint8Array): Promise<number>;
  /** Writes if the key's revision is still `revision`. Throws `conflict`. Resolves to the new revision. */
  update(key: string, value: Uint8Array, revision: number): Promise<number>;
  /** Writes whatever was there. Resolves to the revision. */
  put(key: string, value: Uint8Array): Promise<number>;
  /** Deletes; with `revision` only if it is still that one, else throws `conflict`. A key that does not exist is no error. */
  delete(key: string, revision?: number): Promise<void>;
  /** All entries under a prefix (all of the bucket without one) as they stand, in the order of their keys. */
  entries(prefix?: string): AsyncIterable<Entry>;
  /** The keys of `entries` alone, in their order: cheap where values are many or large. */
  keys(prefix?: string): AsyncIterable<string>;
  /**
   * Entries under a prefix as they stand, `current`, then every change in order until `signal` aborts (the iterable then
   * simply ends). A quick succession of writes to one key may show only the last. Expiry makes no change event.
   * Throws `unavailable` before `current` only; later it outlives the store's absence, and then shows what it missed.
   */
  watch(prefix: string | undefined, signal: AbortSignal): AsyncIterable<Change>;
}

export interface BucketOptions {
  /** A key expires so many milliseconds after its last write; default: never. */
  ttlMs?: number;
}

export interface KeyValueStore extends AsyncDisposable {
  /** Opens a bucket, and makes it when it does not exist. Name: letters, digits, "-". */
  bucket(name: string, options?: BucketOptions): Promise<Bucket>;
}
