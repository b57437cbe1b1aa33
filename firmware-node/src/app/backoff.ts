/** How long to wait before trying again. */
import { setTimeout as delay } from "node:timers/promises";

/** Before retry `n` (from 1): doubling from 200 ms to 10 s, half of it at random so that printers do not come all at once. */
export function backoffMs(retry: number): number {
  const full = Math.min(10_000, 200 * 2 ** (retry - 1));
  return full / 2 + Math.random() * (full / 2);
}

/** Waits; rejects with the signal's reason when it aborts. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
