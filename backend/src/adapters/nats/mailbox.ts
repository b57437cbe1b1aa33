/**
 * What callbacks hand to one reader. Unbounded, but an item with a key takes the place of one with the same key that waits.
 */
export class Mailbox<T> {
  readonly #items = new Map<unknown, T>();
  #ended = false;
  #error: unknown;
  #wake: () => void = () => {};

  put(item: T, key: unknown = Symbol("item")): void {
    if (this.#ended) return;
    this.#items.delete(key);
    this.#items.set(key, item);
    this.#wake();
  }

  /** The reader gets no further item: its iteration ends, or throws the error. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#wake();
  }

  /** What nobody read. */
  *remaining(): Generator<T> {
    for (const [key, item] of this.#items) {
      this.#items.delete(key);
      yield item;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    while (!this.#ended) {
      const next = this.remaining().next();
      if (!next.done) {
        yield next.value;
      } else {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
      }
    }
    if (this.#error !== undefined) throw this.#error;
  }
}
