/** Lets a producer work while its consumer is busy. */

/**
 * The items of `source`, of which up to `count` are being made, or wait, before they are asked for. When the consumer stops,
 * `stop` is called to end what is under way, and the source is closed.
 */
export async function* ahead<T>(
  source: AsyncGenerator<T>,
  count: number,
  stop: () => void,
): AsyncGenerator<T> {
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
  }
}
