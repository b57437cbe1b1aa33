/** Waiting for what may never come. */
import { PlatenError } from "@platen/proto";

/** A clock that runs only while something is waited for, and starts anew with every progress. */
export class Patience {
  readonly #limitMs: number;
  readonly #over = new AbortController();
  /** Aborts when the one given does, and when patience ends. */
  readonly signal: AbortSignal;
  #idleSinceMs: number | undefined;

  constructor(limitMs: number, signal: AbortSignal) {
    this.#limitMs = limitMs;
    this.signal = AbortSignal.any([signal, this.#over.signal]);
  }

  /** What is waited for has to end when `signal` aborts. Throws `deadline-exceeded` when patience ended. */
  async waitFor<T>(waiting: Promise<T>): Promise<T> {
    this.#idleSinceMs ??= performance.now();
    const leftMs = this.#limitMs - (performance.now() - this.#idleSinceMs);
    const seconds = Math.round(this.#limitMs / 1000);
    const end = () => this.#over.abort(new PlatenError("deadline-exceeded", `nothing came for ${seconds} s`));
    const timer = setTimeout(end, Math.max(0, leftMs));
    try {
      return await waiting;
    } catch (error) {
      this.signal.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  progress(): void {
    this.#idleSinceMs = undefined;
  }
}

/** A body's chunks, each waited for with patience. */
export async function* chunks(
  body: AsyncIterable<Uint8Array>,
  patience: Patience,
): AsyncGenerator<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const item = await patience.waitFor(iterator.next());
      if (item.done) return;
      yield item.value;
    }
  } finally {
    await iterator.return?.();
  }
}
