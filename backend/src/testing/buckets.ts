/** Buckets for tests of the key-value port, and watches as words. */
import { randomBytes } from "node:crypto";
import type { Bucket, Change, Entry, KeyValueStore } from "../ports/key-value.ts";

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (entry: Entry | undefined): string | undefined =>
  entry && new TextDecoder().decode(entry.value);
export const newName = (): string => `bucket-${randomBytes(6).toString("hex")}`;

/** A change as a word: `a=1`, `-a`, `current`. */
const word = (change: Change): string =>
  change.kind === "put"
    ? `${change.entry.key}=${text(change.entry)}`
    : change.kind === "delete"
      ? `-${change.key}`
      : "current";

/** Reads a watch word by word. */
export function reading(changes: AsyncIterable<Change>) {
  const iterator = changes[Symbol.asyncIterator]();
  const next = async (): Promise<string | undefined> => {
    const result = await iterator.next();
    return result.done ? undefined : word(result.value);
  };
  return {
    next,
    /** All words up to this one, it included. */
    async until(last: string): Promise<string[]> {
      const words: string[] = [];
      for (let one = await next(); one !== undefined; one = await next()) {
        words.push(one);
        if (one === last) return words;
      }
      throw new Error(`the watch ended before ${last}, after ${words.join(" ")}`);
    },
  };
}

/** Runs `work` on a fresh bucket, over a connection of its own. */
export const bucketsOf =
  (open: () => Promise<KeyValueStore>) =>
  async (
    work: (bucket: Bucket, name: string, store: KeyValueStore) => Promise<void>,
    ttlMs?: number,
  ): Promise<void> => {
    await using store = await open();
    const name = newName();
    await work(await store.bucket(name, ttlMs === undefined ? {} : { ttlMs }), name, store);
  };
