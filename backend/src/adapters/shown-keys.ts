/** What a watcher was shown: what it takes to tell it, after a gap, what it missed. */
import type { Entry } from "../ports/key-value.ts";

/** Expired keys are forgotten this much later, for they make no event, and a watch may last for months. */
const marginMs = 60_000;

export class ShownKeys {
  readonly #ttlMs: number;
  /** In the order in which they were last shown. */
  readonly #keys = new Map<string, { revision: number; atMs: number }>();

  /** `ttlMs` is the bucket's; every key of it that still exists was written, and so shown, within that time. */
  constructor(ttlMs = Number.POSITIVE_INFINITY) {
    this.#ttlMs = ttlMs;
  }

  /** Whether the watcher believes the key to exist. */
  knows(key: string): boolean {
    return this.#keys.has(key);
  }

  /** Whether the watcher was shown this revision of the entry, or a later one. */
  has({ key, revision }: Entry): boolean {
    return (this.#keys.get(key)?.revision ?? 0) >= revision;
  }

  add({ key, revision }: Entry): void {
    const nowMs = performance.now();
    this.#keys.delete(key);
    this.#keys.set(key, { revision, atMs: nowMs });
    for (const [oldest, { atMs }] of this.#keys) {
      if (nowMs - atMs < this.#ttlMs + marginMs) break;
      this.#keys.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#keys.delete(key);
  }

  /** The keys that the watcher believes to exist, but for those given. */
  missingFrom(existing: ReadonlySet<string>): string[] {
    return [...this.#keys.keys()].filter((key) => !existing.has(key));
  }
}
