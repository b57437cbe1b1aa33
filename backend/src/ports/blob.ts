/**
 * The blob port: uploads, source data, converted pages. A shared folder, or NATS Object Store for hosts that share no disk.
 * One contract suite (`blob.contract.ts`) runs on every adapter.
 *
 * Keys are one or more segments of letters, digits, ".", "-" and "_" (none of them "." or ".."), joined by "/"; a segment has
 * at most 200 characters, a key 400.
 */

export interface BlobInfo {
  readonly key: string;
  readonly sizeBytes: number;
  /** When it was written, milliseconds since 1970. */
  readonly modifiedMs: number;
}

export interface Blob {
  readonly sizeBytes: number;
  /** Of the bytes: whatever is put under the key later, be it the same, has another. Letters, digits, "-". */
  readonly version: string;
  /** The bytes from `startByte` on; the consumer owns each chunk. Throws `unavailable` when the blob was deleted or replaced since. */
  bytes(startByte?: number): AsyncIterable<Uint8Array>;
}

export interface PutOptions {
  /** More bytes than that: nothing is stored and `document-too-large` is thrown. */
  maxBytes?: number;
  signal?: AbortSignal;
}

export interface BlobStore {
  /** Stores the bytes under the key as a whole or not at all, replacing what was there. Resolves to the size in bytes. */
  put(key: string, bytes: AsyncIterable<Uint8Array>, options?: PutOptions): Promise<number>;
  /** The blob, or undefined. */
  get(key: string): Promise<Blob | undefined>;
  /** Deletes the blob and all whose keys go on with "/" after it. What does not exist is no error. */
  delete(key: string): Promise<void>;
  /** Every blob whose key is the prefix or goes on with "/" after it; all without one. */
  list(prefix?: string): AsyncIterable<BlobInfo>;
}

export interface BlobStores extends AsyncDisposable {
  /** Opens a store, and makes it when it does not exist. Name: letters, digits, "-". */
  store(name: string): Promise<BlobStore>;
}
