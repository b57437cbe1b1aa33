/** Wakes those who wait for writes to a database file, whichever process wrote. */

/** How often the file is asked for writes of others, while somebody waits. One question takes about 4 µs. */
const pollMs = 25;

interface Waiter {
  readonly topic: string;
  wake(): void;
}

/**
 * Own writes wake the waiters of their topic at once; a write by another connection, of whatever topic, wakes all of them
 * within `pollMs`. To miss nothing: take a mark, query, and only then wait for what came after the mark.
 */
export class ChangeFeed {
  readonly #dataVersion: () => number;
  readonly #own = new Map<string, number>();
  readonly #waiters = new Set<Waiter>();
  #foreign = 0;
  #seen: number;
  #timer: NodeJS.Timeout | undefined;

  /** `dataVersion` gives a number that changes when another connection has written (`PRAGMA data_version`). */
  constructor(dataVersion: () => number) {
    this.#dataVersion = dataVersion;
    this.#seen = dataVersion();
  }

  mark(topic: string): number {
    return this.#foreign + (this.#own.get(topic) ?? 0);
  }

  /** To be called after a write of one's own. */
  notify(topic: string): void {
    this.#own.set(topic, (this.#own.get(topic) ?? 0) + 1);
    for (const waiter of this.#waiters) if (waiter.topic === topic) waiter.wake();
  }

  /** Resolves when something may have been written since the mark, at `untilMs` (milliseconds since 1970), or on abort. */
  changed(
    topic: string,
    mark: number,
    signal: AbortSignal,
    untilMs = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    if (signal.aborted || this.mark(topic) !== mark) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = Number.isFinite(untilMs)
      ? setTimeout(() => waiter.wake(), Math.min(Math.max(untilMs - Date.now(), 1), 60_000))
      : undefined;
    const waiter: Waiter = {
      topic,
      wake: () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", waiter.wake);
        this.#waiters.delete(waiter);
        if (this.#waiters.size === 0) this.#stop();
        resolve();
      },
    };
    signal.addEventListener("abort", waiter.wake);
    this.#waiters.add(waiter);
    this.#timer ??= setInterval(() => this.#poll(), pollMs);
    return promise;
  }

  /** Wakes everybody, for the last time. */
  close(): void {
    this.#wakeAll();
    this.#stop();
  }

  #poll(): void {
    const version = this.#dataVersion();
    if (version === this.#seen) return;
    this.#seen = version;
    this.#wakeAll();
  }

  #wakeAll(): void {
    this.#foreign++;
    for (const waiter of this.#waiters) waiter.wake();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
