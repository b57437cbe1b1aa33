/** Things of which there are so many. Whoever comes when none is left waits until one is given back. */
export class Pool<T> {
  readonly #free: T[];
  readonly #waiting = new Set<PromiseWithResolvers<void>>();

  constructor(items: readonly T[]) {
    this.#free = [...items];
  }

  /** Rejects with the signal's reason when it aborts. */
  async take(signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    for (;;) {
      const item = this.#free.pop();
      if (item !== undefined) return item;
      const turn = Promise.withResolvers<void>();
      const stop = () => turn.reject(signal.reason);
      this.#waiting.add(turn);
      signal.addEventListener("abort", stop, { once: true });
      try {
        await turn.promise;
      } finally {
        this.#waiting.delete(turn);
        signal.removeEventListener("abort", stop);
      }
    }
  }

  give(item: T): void {
    this.#free.push(item);
    for (const { resolve } of this.#waiting) resolve();
  }
}
