/**
 * The key-value port on the embedded database. Writes survive a crash of any process; a power cut may take those of the
 * last seconds, unless the work queue wrote since: its commits sync the log that both write (see `database.ts`).
 */
import type { StatementSync } from "node:sqlite";
import { PlatenError } from "@platen/proto";
import type { Bucket, BucketOptions, Change, Entry, KeyValueStore } from "../../ports/key-value.ts";
import { checkKey, checkStoreName, checkValue, isUnder } from "../../ports/names.ts";
import { ShownKeys } from "../shown-keys.ts";
import { Database } from "./database.ts";

/**
 * A deleted entry stays for a while as a row without a value, for watchers to see. `kv_bucket.swept` is the highest
 * revision of a row that was removed for good: whoever has not got that far yet may have missed a deletion.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS kv_bucket (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL DEFAULT 0, swept INTEGER NOT NULL DEFAULT 0
  );
  CREATE TABLE IF NOT EXISTS kv_entry (
    bucket INTEGER NOT NULL, key TEXT NOT NULL, value BLOB, revision INTEGER NOT NULL, expires_ms INTEGER,
    UNIQUE (bucket, key)
  );
  CREATE INDEX IF NOT EXISTS kv_entry_by_revision ON kv_entry (bucket, revision);
  CREATE INDEX IF NOT EXISTS kv_entry_by_expiry ON kv_entry (expires_ms) WHERE expires_ms IS NOT NULL;
`;

/** How long watchers in other processes can find a deletion; those that sleep longer compare all entries instead. */
const deletionKeptMs = 60_000;
const sweepMs = 30_000;
/** How many entries a listing holds in memory at a time. */
const pageSize = 200;

interface Row {
  readonly key: string;
  readonly value: Uint8Array | null;
  readonly revision: number;
}

interface BucketState {
  readonly revision: number;
  readonly swept: number;
}

interface Statements {
  readonly get: StatementSync;
  readonly page: StatementSync;
  readonly keyPage: StatementSync;
  readonly changes: StatementSync;
  readonly state: StatementSync;
  readonly nextRevision: StatementSync;
  readonly upsert: StatementSync;
}

const live = "value IS NOT NULL AND (expires_ms IS NULL OR expires_ms > :nowMs)";
const inRange = "bucket = :bucket AND key >= :from AND key < :to";

const prepare = (database: Database): Statements => ({
  get: database.prepare(
    `SELECT key, value, revision FROM kv_entry WHERE bucket = :bucket AND key = :key AND ${live}`,
  ),
  page: database.prepare(
    `SELECT key, value, revision FROM kv_entry WHERE ${inRange} AND key > :after AND ${live} ORDER BY key LIMIT :limit`,
  ),
  keyPage: database.prepare(
    `SELECT key FROM kv_entry WHERE ${inRange} AND key > :after AND ${live} ORDER BY key LIMIT :limit`,
  ),
  changes: database.prepare(
    `SELECT key, value, revision FROM kv_entry WHERE ${inRange} AND revision > :revision AND (value IS NULL OR ${live})
     ORDER BY revision`,
  ),
  state: database.prepare("SELECT revision, swept FROM kv_bucket WHERE id = :bucket"),
  nextRevision: database.prepare(
    "UPDATE kv_bucket SET revision = revision + 1 WHERE id = :bucket RETURNING revision",
  ),
  upsert: database.prepare(
    `INSERT INTO kv_entry (bucket, key, value, revision, expires_ms) VALUES (:bucket, :key, :value, :revision, :expiresMs)
     ON CONFLICT (bucket, key) DO UPDATE
     SET value = excluded.value, revision = excluded.revision, expires_ms = excluded.expires_ms`,
  ),
});

/** Opens the embedded key-value store in a data folder, which it makes when it does not exist. */
export async function openSqliteKeyValueStore(dataDir: string): Promise<KeyValueStore> {
  const database = await Database.open(dataDir, { schema, synchronous: "NORMAL" });
  const statements = prepare(database);
  const find = database.prepare("SELECT id FROM kv_bucket WHERE name = ?");
  const make = database.prepare("INSERT INTO kv_bucket (name) VALUES (?) RETURNING id");
  const sweep = sweeper(database);
  sweep();
  const sweeping = setInterval(sweep, sweepMs).unref();
  return {
    async bucket(name: string, options: BucketOptions = {}): Promise<Bucket> {
      checkStoreName(name);
      const id = database.write(() => (find.get(name) ?? make.get(name))?.id as number);
      return new SqliteBucket(database, statements, id, options.ttlMs);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      clearInterval(sweeping);
      database[Symbol.dispose]();
    },
  };
}

/** Removes what expired, and deletions that were there long enough. */
function sweeper(database: Database): () => void {
  const expired = "FROM kv_entry WHERE expires_ms <= :nowMs";
  const find = database.prepare(`SELECT 1 ${expired} LIMIT 1`);
  const remember = database.prepare(
    `UPDATE kv_bucket SET swept = max(swept, gone.revision)
     FROM (SELECT bucket, max(revision) AS revision ${expired} AND value IS NULL GROUP BY bucket) AS gone
     WHERE id = gone.bucket`,
  );
  const remove = database.prepare(`DELETE ${expired}`);
  return () => {
    const now = { nowMs: Date.now() };
    try {
      if (!database.query(() => find.get(now))) return;
      database.write(() => {
        remember.run(now);
        remove.run(now);
      });
    } catch {
      // Nobody waits for it, and what it left is swept next time.
    }
  };
}

/** Bounds of the keys under a prefix; keys such as "a-b" lie within those of "a" too. */
function rangeOf(prefix: string | undefined): { from: string; to: string } {
  // "/" follows "." and "-", and "{" follows "z".
  return prefix === undefined ? { from: "", to: "{" } : { from: prefix, to: `${prefix}/` };
}

class SqliteBucket implements Bucket {
  readonly #database: Database;
  readonly #statements: Statements;
  readonly #id: number;
  readonly #topic: string;
  readonly #ttlMs: number | undefined;

  constructor(database: Database, statements: Statements, id: number, ttlMs: number | undefined) {
    this.#database = database;
    this.#statements = statements;
    this.#id = id;
    this.#topic = String(id);
    this.#ttlMs = ttlMs;
  }

  async get(key: string): Promise<Entry | undefined> {
    checkKey(key);
    return this.#database.query(() => this.#find(key));
  }

  async create(key: string, value: Uint8Array): Promise<number> {
    return this.#put(key, value, (current) => current === undefined);
  }

  async update(key: string, value: Uint8Array, revision: number): Promise<number> {
    return this.#put(key, value, (current) => current?.revision === revision);
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    return this.#put(key, value, () => true);
  }

  async delete(key: string, revision?: number): Promise<void> {
    checkKey(key);
    const deleted = this.#database.write(() => {
      const current = this.#find(key);
      if (current === undefined) return false;
      if (revision !== undefined && current.revision !== revision) throw conflict(key, current);
      this.#write(key, null, Date.now() + deletionKeptMs);
      return true;
    });
    if (deleted) this.#database.feed.notify(this.#topic);
  }

  entries(prefix?: string): AsyncGenerator<Entry> {
    return this.#listing<Entry>(this.#statements.page, prefix);
  }

  async *keys(prefix?: string): AsyncGenerator<string> {
    for await (const { key } of this.#listing<{ key: string }>(this.#statements.keyPage, prefix)) yield key;
  }

  /** Page by page, so that no transaction stays open while the reader is busy. */
  async *#listing<T extends { key: string }>(
    statement: StatementSync,
    prefix: string | undefined,
  ): AsyncGenerator<T> {
    if (prefix !== undefined) checkKey(prefix);
    for (let after = ""; ; ) {
      const rows = this.#database.query(() => this.#page<T>(statement, prefix, after, pageSize));
      for (const row of rows) if (isUnder(row.key, prefix, ".")) yield row;
      const last = rows.at(-1);
      if (last === undefined || rows.length < pageSize) return;
      after = last.key;
    }
  }

  async *watch(prefix: string | undefined, signal: AbortSignal): AsyncGenerator<Change> {
    if (prefix !== undefined) checkKey(prefix);
    if (signal.aborted) return;
    const { feed } = this.#database;
    let mark = feed.mark(this.#topic);
    let [state, entries] = this.#database.read(() => this.#snapshot(prefix));
    const shown = new ShownKeys(this.#ttlMs);
    for (const entry of entries) {
      if (signal.aborted) return;
      shown.add(entry);
      yield { kind: "put", entry };
    }
    yield { kind: "current" };
    while (!signal.aborted) {
      await feed.changed(this.#topic, mark, signal);
      if (signal.aborted) return;
      mark = feed.mark(this.#topic);
      const since = state.revision;
      let changes: Change[];
      [state, changes] = this.#database.read(() => this.#changesSince(since, prefix, shown));
      for (const change of changes) {
        if (change.kind === "put") shown.add(change.entry);
        if (change.kind === "delete") shown.delete(change.key);
        if (signal.aborted) return;
        yield change;
      }
    }
  }

  #put(key: string, value: Uint8Array, allowed: (current: Entry | undefined) => boolean): number {
    checkKey(key);
    checkValue(value);
    const revision = this.#database.write(() => {
      const current = this.#find(key);
      if (!allowed(current)) throw conflict(key, current);
      return this.#write(key, value, this.#ttlMs === undefined ? null : Date.now() + this.#ttlMs);
    });
    this.#database.feed.notify(this.#topic);
    return revision;
  }

  #write(key: string, value: Uint8Array | null, expiresMs: number | null): number {
    const revision = this.#statements.nextRevision.get({ bucket: this.#id })?.revision as number;
    this.#statements.upsert.run({ bucket: this.#id, key, value, revision, expiresMs });
    return revision;
  }

  #find(key: string): Entry | undefined {
    return this.#statements.get.get({ bucket: this.#id, key, nowMs: Date.now() }) as Entry | undefined;
  }

  #page<T>(statement: StatementSync, prefix: string | undefined, after: string, limit: number): T[] {
    const range = rangeOf(prefix);
    return statement.all({ bucket: this.#id, ...range, after, limit, nowMs: Date.now() }) as unknown as T[];
  }

  #state(): BucketState {
    return this.#statements.state.get({ bucket: this.#id }) as unknown as BucketState;
  }

  #snapshot(prefix: string | undefined): [BucketState, Entry[]] {
    const entries = this.#page<Entry>(this.#statements.page, prefix, "", -1);
    return [this.#state(), entries.filter((entry) => isUnder(entry.key, prefix, "."))];
  }

  /** What happened under the prefix after a revision, to a watcher that was shown what it was up to then. */
  #changesSince(revision: number, prefix: string | undefined, shown: ShownKeys): [BucketState, Change[]] {
    const state = this.#state();
    if (state.revision === revision) return [state, []];
    const rows = this.#statements.changes.all({
      bucket: this.#id,
      ...rangeOf(prefix),
      revision,
      nowMs: Date.now(),
    }) as unknown as Row[];
    const changes = rows.filter((row) => isUnder(row.key, prefix, ".")).map(changeOf);
    if (state.swept <= revision) return [state, changes];
    const existing = this.#snapshot(prefix)[1].map((entry) => entry.key);
    const missed = shown.missingFrom(new Set([...existing, ...rows.map((row) => row.key)]));
    return [state, [...missed.map((key): Change => ({ kind: "delete", key })), ...changes]];
  }
}

const changeOf = ({ key, value, revision }: Row): Change =>
  value === null ? { kind: "delete", key } : { kind: "put", entry: { key, value, revision } };

const conflict = (key: string, current: Entry | undefined): PlatenError =>
  new PlatenError(
    "conflict",
    current === undefined
      ? `${key} does not exist any more`
      : `${key} is at revision ${current.revision}: somebody else wrote it`,
  );
