/** Typed JSON records in a key-value bucket. */
import { hasCode, PlatenError } from "@platen/proto";
import type { z } from "zod";
import type { Bucket } from "../ports/key-value.ts";

export interface Stored<T> {
  readonly key: string;
  readonly value: T;
  readonly revision: number;
}

/** Records of one shape. A stored value that does not fit the schema throws `internal`: it was written by another version. */
export class Records<T> {
  readonly #bucket: Bucket;
  readonly #schema: z.ZodType<T>;
  constructor(bucket: Bucket, schema: z.ZodType<T>) {
    this.#bucket = bucket;
    this.#schema = schema;
  }

  async get(key: string): Promise<Stored<T> | undefined> {
    const entry = await this.#bucket.get(key);
    return entry && { key, value: this.#decode(key, entry.value), revision: entry.revision };
  }

  /** Throws `conflict` when the key exists. */
  async create(key: string, value: T): Promise<void> {
    await this.#bucket.create(key, this.#encode(value));
  }

  async put(key: string, value: T): Promise<void> {
    await this.#bucket.put(key, this.#encode(value));
  }

  /**
   * Changes a record however many others change it too: `change` sees the present value and may be called again.
   * Resolves to what was written, or to undefined when the record does not exist; `change` may return its argument to leave it.
   */
  async change(key: string, change: (value: T) => T): Promise<T | undefined> {
    for (;;) {
      const stored = await this.get(key);
      if (!stored) return undefined;
      const value = change(stored.value);
      if (value === stored.value) return value;
      try {
        await this.#bucket.update(key, this.#encode(value), stored.revision);
        return value;
      } catch (error) {
        if (!hasCode(error, "conflict")) throw error;
      }
    }
  }

  delete(key: string): Promise<void> {
    return this.#bucket.delete(key);
  }

  async *all(prefix?: string): AsyncIterable<Stored<T>> {
    for await (const entry of this.#bucket.entries(prefix)) {
      yield { key: entry.key, value: this.#decode(entry.key, entry.value), revision: entry.revision };
    }
  }

  /** The record under exactly this key, now and at every change; undefined while it does not exist. Ends on abort. */
  async *watch(key: string, signal: AbortSignal): AsyncIterable<T | undefined> {
    let present: T | undefined;
    let current = false;
    for await (const change of this.#bucket.watch(key, signal)) {
      if (change.kind === "current") current = true;
      else if (change.kind === "put" && change.entry.key === key)
        present = this.#decode(key, change.entry.value);
      else if (change.kind === "delete" && change.key === key) present = undefined;
      else continue;
      if (current) yield present;
    }
  }

  #encode(value: T): Uint8Array {
    return Buffer.from(JSON.stringify(value));
  }

  #decode(key: string, bytes: Uint8Array): T {
    const parsed = this.#schema.safeParse(JSON.parse(Buffer.from(bytes).toString()));
    if (parsed.success) return parsed.data;
    throw new PlatenError("internal", `the record ${key} has an unknown shape`, { cause: parsed.error });
  }
}
