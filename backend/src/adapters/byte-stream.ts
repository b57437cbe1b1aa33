/** What putting a blob does to the bytes on their way, whatever the store. */
import { PlatenError, toPlatenError } from "@platen/proto";
import type { PutOptions } from "../ports/blob.ts";

/**
 * The chunks as they come, until there are more than `maxBytes` of them (throws `document-too-large`) or `signal` aborts
 * (throws its reason, as a PlatenError), even while the source is silent.
 */
export async function* guarded(
  bytes: AsyncIterable<Uint8Array>,
  { maxBytes = Number.POSITIVE_INFINITY, signal }: PutOptions,
): AsyncGenerator<Uint8Array> {
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  const abort = () => aborted.reject(toPlatenError(signal?.reason));
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  const source = bytes[Symbol.asyncIterator]();
  let size = 0;
  let ended = false;
  try {
    for (;;) {
      const next = await Promise.race([aborted.promise, source.next()]);
      if (next.done) {
        ended = true;
        return;
      }
      size += next.value.byteLength;
      if (size > maxBytes) {
        throw new PlatenError("document-too-large", `the data is larger than the limit of ${maxBytes} bytes`);
      }
      yield next.value;
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    // Not awaited: a silent source would not let go before its next chunk.
    if (!ended) source.return?.()?.then(undefined, () => {});
  }
}
