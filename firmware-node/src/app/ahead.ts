/** Lets a producer work while its consumer is busy: a bounded queue between two stages of a pipeline. */

export interface AheadOptions<T> {
  /** Items that wait for the consumer, or are being made, while it has one. */
  readonly count: number;
  /** Items that take no place in the queue. Default: none. */
  readonly isFree?: (item: T) => boolean;
  /** Called when the consumer stops before the end: ends what is under way. */
  readonly stop: () => void;
  /** Told of each item that was made and will not be consumed. */
  readonly drop?: (item: T) => void;
}

/** The items of `source`, made ahead. When the consumer stops, the source is closed. */
export async function* ahead<T>(source: AsyncIterable<T>, options: AheadOptions<T>): AsyncGenerator<T> {
  const { count, isFree = () => false, stop, drop } = options;
  const made: T[] = [];
  const state = { places: count, isOver: false, isStopped: false };
  let change = Promise.withResolvers<void>();
  const changed = (): void => {
    change.resolve();
    change = Promise.withResolvers();
  };
  const make = async (): Promise<void> => {
    try {
      for await (const item of source) {
        made.push(item);
        if (!isFree(item)) state.places--;
        changed();
        while (state.places === 0 && !state.isStopped) await change.promise;
        if (state.isStopped) return;
      }
    } finally {
      state.isOver = true;
      changed();
    }
  };
  const making = make();
  // A failure is told when its turn comes, not as an unhandled rejection before.
  making.catch(() => {});
  try {
    for (;;) {
      while (made.length === 0 && !state.isOver) await change.promise;
      if (made.length === 0) return await making;
      const item = made.shift()!;
      if (!isFree(item)) state.places++;
      changed();
      yield item;
    }
  } finally {
    state.isStopped = true;
    if (!state.isOver) stop();
    changed();
    await making.catch(() => {});
    for (const item of made) drop?.(item);
  }
}
