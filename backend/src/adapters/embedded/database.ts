/**
 * One SQLite file for all embedded state, shared by any number of connections in any number of processes on this machine.
 *
 * It runs in WAL mode, so nothing that was committed is lost when a process crashes. With `synchronous: "FULL"` a commit
 * also survives a power cut: it syncs the log, and with it whatever any connection committed before. With "NORMAL" it
 * survives a power cut only once a later commit, or the operating system, has synced the log; the file stays whole either way.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { PlatenError } from "@platen/proto";
import { ChangeFeed } from "./change-feed.ts";

/** Transactions here last microseconds; who holds the file for so long hangs. */
const defaultBusyTimeoutMs = 5000;
/** Counts layouts of the file that older programs cannot use. */
const layoutVersion = 1;

/** SQLite's primary result codes (sqlite.org/rescode.html). */
const resultCode = {
  busy: 5,
  locked: 6,
  readOnly: 8,
  io: 10,
  corrupt: 11,
  full: 13,
  cantOpen: 14,
  notADb: 26,
};

export interface DatabaseOptions {
  /** Statements that create what is missing. */
  readonly schema: string;
  readonly synchronous: "NORMAL" | "FULL";
  /** How long a write waits for another process's transaction before it gives up. */
  readonly busyTimeoutMs?: number;
}

/** A connection. All of its work is synchronous, so that one tick of the event loop sees one transaction. */
export class Database implements Disposable {
  readonly feed: ChangeFeed;
  readonly #handle: DatabaseSync;
  readonly #path: string;
  readonly #begin: StatementSync;
  readonly #beginImmediate: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;

  private constructor(handle: DatabaseSync, path: string) {
    this.#handle = handle;
    this.#path = path;
    this.#begin = handle.prepare("BEGIN");
    this.#beginImmediate = handle.prepare("BEGIN IMMEDIATE");
    this.#commit = handle.prepare("COMMIT");
    this.#rollback = handle.prepare("ROLLBACK");
    const dataVersion = handle.prepare("PRAGMA data_version");
    this.feed = new ChangeFeed(() => dataVersion.get()?.data_version as number);
  }

  /** Opens `platen.db` in the folder, and makes both when they do not exist. */
  static async open(dataDir: string, options: DatabaseOptions): Promise<Database> {
    const path = join(dataDir, "platen.db");
    const busyTimeoutMs = options.busyTimeoutMs ?? defaultBusyTimeoutMs;
    try {
      await mkdir(dataDir, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw new PlatenError(
        "configuration",
        `cannot make the data folder ${dataDir}: ${(cause as Error).message}`,
        {
          cause,
        },
      );
    }
    // Turning on WAL wants the file for itself and does not wait for it, so processes that start together may collide here.
    for (const giveUpMs = Date.now() + busyTimeoutMs; ; await delay(20)) {
      try {
        return Database.#tryOpen(path, options, busyTimeoutMs);
      } catch (error) {
        if (codeOf(error) !== resultCode.busy || Date.now() > giveUpMs) throw failure(error, path);
      }
    }
  }

  static #tryOpen(path: string, options: DatabaseOptions, busyTimeoutMs: number): Database {
    const handle = new DatabaseSync(path, { timeout: busyTimeoutMs });
    try {
      handle.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${options.synchronous};`);
      handle.exec("BEGIN IMMEDIATE");
      const version = handle.prepare("PRAGMA user_version").get()?.user_version as number;
      if (version > layoutVersion) {
        throw new PlatenError(
          "configuration",
          `${path} was made by a newer Platen (layout ${version}, this one knows ${layoutVersion}): use that one, or another data folder`,
        );
      }
      handle.exec(`${options.schema}; PRAGMA user_version = ${layoutVersion}; COMMIT;`);
      return new Database(handle, path);
    } catch (error) {
      handle.close();
      throw error;
    }
  }

  prepare(sql: string): StatementSync {
    return this.#guard(() => this.#handle.prepare(sql));
  }

  /** Runs reads that must see one state of the file. */
  read<T>(work: () => T): T {
    return this.#transaction(this.#begin, work);
  }

  /** Runs reads and writes as a whole, alone among all processes; what `work` throws undoes it. */
  write<T>(work: () => T): T {
    return this.#transaction(this.#beginImmediate, work);
  }

  /** Runs a single read. */
  query<T>(work: () => T): T {
    return this.#guard(work);
  }

  [Symbol.dispose](): void {
    this.feed.close();
    if (this.#handle.isOpen) this.#handle.close();
  }

  #transaction<T>(begin: StatementSync, work: () => T): T {
    return this.#guard(() => {
      begin.run();
      try {
        const result = work();
        this.#commit.run();
        return result;
      } catch (error) {
        if (this.#handle.isTransaction) this.#rollback.run();
        throw error;
      }
    });
  }

  #guard<T>(work: () => T): T {
    try {
      if (!this.#handle.isOpen) throw new PlatenError("unavailable", "the storage is closed");
      return work();
    } catch (error) {
      throw failure(error, this.#path);
    }
  }
}

/** SQLite's primary result code, when it is SQLite that threw. */
function codeOf(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : undefined;
}

function failure(error: unknown, path: string): unknown {
  const code = codeOf(error);
  if (code === undefined) return error;
  const say = (kind: "unavailable" | "configuration" | "internal", sentence: string) =>
    new PlatenError(kind, sentence, { cause: error });
  switch (code) {
    case resultCode.busy:
    case resultCode.locked:
      return say("unavailable", `another process holds ${path} and does not let go`);
    case resultCode.full:
      return say("unavailable", `the disk of ${path} is full`);
    case resultCode.io:
      return say("unavailable", `the disk of ${path} failed: ${(error as Error).message}`);
    case resultCode.readOnly:
    case resultCode.cantOpen:
      return say("configuration", `cannot open ${path} for writing: ${(error as Error).message}`);
    case resultCode.corrupt:
    case resultCode.notADb:
      return say(
        "configuration",
        `${path} is damaged or no database: restore it, or move it away to start anew`,
      );
    default:
      return say("internal", `${path}: ${(error as Error).message}`);
  }
}
