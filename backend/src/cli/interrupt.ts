/** Ctrl-C. */
import { hasCode, PlatenError } from "@platen/proto";
import { exitCodes, interruption } from "./exit.ts";

const signals = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs an action whose signal SIGINT and SIGTERM abort, so that it may clean up; a second one ends the process at once.
 */
export async function interruptible<T>(action: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const interrupt = () => {
    if (abort.signal.aborted) process.exit(exitCodes.interrupted);
    abort.abort(interruption());
  };
  for (const name of signals) process.on(name, interrupt);
  try {
    return await action(abort.signal);
  } catch (error) {
    // Calls that the signal ended say so in words of their own.
    const isOwn = error instanceof PlatenError && error.message.startsWith("interrupted");
    throw hasCode(error, "canceled") && abort.signal.aborted && !isOwn ? interruption() : error;
  } finally {
    for (const name of signals) process.off(name, interrupt);
  }
}
