/** Lets a producer work while its consumer is busy: a bounded queue between two stages of a pipeline. */

export interface AheadOptions<T> {
  /** Items that are being made, or wait, before they are asked for. */
  readonly count: number;
  /** Called when the consumer stops: ends what is under way. */
  readonly stop: () => void;
  /** Told of each item that was made and will not be consumed. */
  readonly drop?: (item: T) => void;
}

/** The items of `source`, made ahead. When the consumer stops, the source is closed. */
export async function* ahead<T>(source: AsyncGenerator<T>, options: AheadOptions<T>): AsyncGenerator<T> {
  const { count, stop, drop } = options;
  const made: Promise<IteratorResult<T>>[] = [];
  const make = () => {
    const item = source.next();
    // A failure is told when its turn comes, not as an unhandled rejection before.
    item.catch(() => {});
    made.push(item);
  };
  try {
    for (;;) {
      while (made.length <= count) make();
      const item = await made.shift()!;
      if (item.done) return;
      yield item.value;
    }
  } finally {
    stop();
    await source.return(undefined).catch(() => {});
    for (const item of await Promise.allSettled(made)) {
      if (item.status === "fulfilled" && !item.value.done) drop?.(item.value.value);
    }
  }
}
