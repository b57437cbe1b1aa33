/** Retries: only what is idempotent, only what passes by itself, with a cap and jitter. */
import { setTimeout as delay } from "node:timers/promises";
import { hasCode } from "@platen/proto";

export interface RetryOptions {
  /** Attempts in all; default 8. */
  readonly attempts?: number;
  /** Told before each wait how many attempts in a row have failed. */
  readonly onFailure?: (failed: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Whether a failure passes by itself: the other side is away, or ended the call (a server that shuts down cancels what is under
 * way) though this side did not.
 */
export const isPassing = (error: unknown, signal: AbortSignal): boolean =>
  !signal.aborted && hasCode(error, "unavailable", "canceled");

/** How long to wait before attempt `n` (from 2), milliseconds: doubling from 100 to 5000, half of it at random. */
export function backoffMs(attempt: number): number {
  const full = Math.min(5000, 100 * 2 ** (attempt - 2));
  return full / 2 + Math.random() * (full / 2);
}

/** Calls until it does not fail with what passes by itself. Throws the last failure. */
export async function retryUnavailable<T>(
  call: () => Promise<T>,
  { attempts = 8, onFailure, signal }: RetryOptions,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt >= attempts || !isPassing(error, signal)) throw error;
      onFailure?.(attempt);
      await delay(backoffMs(attempt + 1), undefined, { signal });
    }
  }
}

/**
 * A stream that is called again when it breaks with what passes by itself: the callee goes on with what the first call began.
 * An attempt that yielded something starts the count anew.
 */
export async function* retryStream<T>(
  call: () => AsyncIterable<T>,
  { attempts = 8, onFailure, signal }: RetryOptions,
): AsyncIterable<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      for await (const message of call()) {
        attempt = 1;
        yield message;
      }
      return;
    } catch (error) {
      if (attempt >= attempts || !isPassing(error, signal)) throw error;
      onFailure?.(attempt);
      await delay(backoffMs(attempt + 1), undefined, { signal });
    }
  }
}
