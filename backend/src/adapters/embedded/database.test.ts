import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { reading } from "../../testing/buckets.ts";
import { Database } from "./database.ts";
import { openSqliteKeyValueStore } from "./sqlite-key-value.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "platen-database-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("a file of a newer Platen is refused, and left as it is", async () => {
  const dataDir = join(dir, "newer");
  await mkdir(dataDir);
  const newer = new DatabaseSync(join(dataDir, "platen.db"));
  newer.exec("PRAGMA user_version = 99");
  newer.close();
  await expect(openSqliteKeyValueStore(dataDir)).rejects.toMatchObject({ code: "configuration" });
  const after = new DatabaseSync(join(dataDir, "platen.db"));
  expect(after.prepare("SELECT count(*) AS tables FROM sqlite_schema").get()?.tables).toBe(0);
  after.close();
});

test("a file that is no database, and a folder that is none, are matters of configuration", async () => {
  const dataDir = join(dir, "garbage");
  await mkdir(dataDir);
  await writeFile(join(dataDir, "platen.db"), "no database ".repeat(1000));
  await expect(openSqliteKeyValueStore(dataDir)).rejects.toMatchObject({ code: "configuration" });
  await expect(openSqliteKeyValueStore(join(dataDir, "platen.db"))).rejects.toMatchObject({
    code: "configuration",
  });
});

test("a write that others keep out for too long says so, and changes nothing", async () => {
  const dataDir = join(dir, "busy");
  const options = {
    schema: "CREATE TABLE IF NOT EXISTS t (x)",
    synchronous: "NORMAL",
    busyTimeoutMs: 50,
  } as const;
  using one = await Database.open(dataDir, options);
  using other = await Database.open(dataDir, options);
  const insert = (database: Database, x: number) => database.prepare("INSERT INTO t VALUES (?)").run(x);
  other.write(() => {
    insert(other, 1);
    expect(() => one.write(() => insert(one, 2))).toThrow(
      expect.objectContaining({ code: "unavailable" }) as Error,
    );
  });
  one.write(() => insert(one, 3));
  expect(one.prepare("SELECT x FROM t ORDER BY x").all()).toEqual([{ x: 1 }, { x: 3 }]);
});

test("a transaction whose work throws is undone", async () => {
  using database = await Database.open(join(dir, "undone"), {
    schema: "CREATE TABLE t (x)",
    synchronous: "FULL",
  });
  expect(() =>
    database.write(() => {
      database.prepare("INSERT INTO t VALUES (1)").run();
      throw new Error("no");
    }),
  ).toThrow("no");
  expect(database.prepare("SELECT x FROM t").all()).toEqual([]);
});

test("what expired and what was deleted leaves the file", async () => {
  const dataDir = join(dir, "swept");
  const rows = () => {
    const file = new DatabaseSync(join(dataDir, "platen.db"));
    const { n } = file.prepare("SELECT count(*) AS n FROM kv_entry").get() as { n: number };
    file.close();
    return n;
  };
  const fill = async () => {
    await using store = await openSqliteKeyValueStore(dataDir);
    const bucket = await store.bucket("b", { ttlMs: 1 });
    for (const key of ["a", "b", "c"]) await bucket.put(key, bytes(key));
    await vi.waitFor(async () => expect(await bucket.get("c")).toBeUndefined());
  };
  await fill();
  expect(rows()).toBe(3);
  await using _swept = await openSqliteKeyValueStore(dataDir);
  expect(rows()).toBe(0);
});

test("a watcher that slept until the traces of a deletion were swept is told of it all the same", async () => {
  const dataDir = join(dir, "slept");
  await using store = await openSqliteKeyValueStore(dataDir);
  const bucket = await store.bucket("b");
  for (const key of ["a.gone", "a.kept", "other"]) await bucket.put(key, bytes("1"));
  const abort = new AbortController();
  const watch = reading(bucket.watch("a", abort.signal));
  await watch.until("current");
  for (const key of ["a.gone", "other"]) await bucket.delete(key);
  await bucket.put("a.new", bytes("1"));
  await bucket.delete("a.new");
  // As if the time for which deletions are kept had passed.
  const file = new DatabaseSync(join(dataDir, "platen.db"));
  file.exec("UPDATE kv_entry SET expires_ms = 1 WHERE value IS NULL");
  file.close();
  const sweep = async () => {
    await using _other = await openSqliteKeyValueStore(dataDir);
  };
  await sweep();
  await bucket.put("a.kept", bytes("2"));
  expect(await watch.next()).toBe("-a.gone");
  expect(await watch.next()).toBe("a.kept=2");
  abort.abort();
});
