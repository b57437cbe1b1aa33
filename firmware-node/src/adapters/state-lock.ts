/** One process a printer: two with one key would share its jobs out between them. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { PlatenError } from "@platen/proto";
import { makeFolder } from "./replace-file.ts";

/** SQLite's result code for a file that somebody else has locked (sqlite.org/rescode.html). */
const busy = 5;
/** A process that was killed lets go only when the system has done away with it, milliseconds. */
const patienceMs = 1000;

/**
 * Holds `folder`/`printerId`.lock until it is disposed or the process ends, however it ends: SQLite locks an empty file through
 * the operating system, which Node by itself cannot. Throws `configuration` where another process holds it. Where the lock
 * cannot be had for other reasons, as on a disk that is only read, the printer does without.
 */
export function lockState(folder: string, printerId: string): Disposable {
  let lock: DatabaseSync | undefined;
  try {
    makeFolder(folder);
    lock = new DatabaseSync(join(folder, `${printerId}.lock`), { timeout: patienceMs });
    lock.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    if (lock?.isOpen) lock.close();
    if ((cause as { errcode?: number }).errcode === busy) {
      throw new PlatenError(
        "configuration",
        `printer ${printerId} runs already, with the state folder ${folder}: end that process, or choose another --printer-id`,
        { cause },
      );
    }
  }
  return {
    [Symbol.dispose]() {
      if (lock?.isOpen) lock.close();
    },
  };
}
