/** The embedded storage, shared with real other processes. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasCode } from "@platen/proto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { reading } from "../../testing/buckets.ts";
import { taking } from "../../ports/work-queue.contract.ts";
import { startEmbeddedProcess } from "../../testing/embedded-process.ts";
import { openSqliteKeyValueStore } from "./sqlite-key-value.ts";
import { openSqliteWorkQueues } from "./sqlite-work-queue.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "platen-processes-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test("several processes can open a folder that does not exist yet at the same time", async () => {
  const dataDir = join(dir, "new");
  const processes = await Promise.all(Array.from({ length: 4 }, () => startEmbeddedProcess(dataDir)));
  await Promise.all(processes.map((one, n) => one.ask({ kind: "put", name: "b", key: `k${n}`, value: "x" })));
  await using store = await openSqliteKeyValueStore(dataDir);
  const keys: string[] = [];
  for await (const key of (await store.bucket("b")).keys()) keys.push(key);
  expect(keys).toEqual(["k0", "k1", "k2", "k3"]);
  await Promise.all(processes.map((one) => one.kill()));
});

test("a watch sees what another process writes and deletes", async () => {
  const dataDir = join(dir, "watch");
  await using other = await startEmbeddedProcess(dataDir);
  await using store = await openSqliteKeyValueStore(dataDir);
  const bucket = await store.bucket("b");
  const abort = new AbortController();
  const watch = reading(bucket.watch("a", abort.signal));
  expect(await watch.next()).toBe("current");
  for (const value of ["1", "2", "3"]) {
    await other.ask({ kind: "put", name: "b", key: "a.x", value });
    expect(await watch.next()).toBe(`a.x=${value}`);
  }
  await other.ask({ kind: "delete", name: "b", key: "a.x" });
  expect(await watch.next()).toBe("-a.x");
  abort.abort();
});

test("S1105: of processes that create the same sessions each session has exactly one creator", async () => {
  const dataDir = join(dir, "create");
  const processes = await Promise.all([1, 2].map(() => startEmbeddedProcess(dataDir)));
  const created = await Promise.all(
    processes.map(async (one, n) => {
      const won: string[] = [];
      for (let session = 0; session < 50; session++) {
        try {
          await one.ask({ kind: "create", name: "b", key: `s${session}`, value: String(n) });
          won.push(`s${session}`);
        } catch (error) {
          if (!hasCode(error, "conflict")) throw error;
        }
      }
      return won;
    }),
  );
  const all = created.flat();
  expect(all).toHaveLength(50);
  expect(new Set(all).size).toBe(50);
  await using store = await openSqliteKeyValueStore(dataDir);
  const bucket = await store.bucket("b");
  for (const [n, won] of created.entries()) {
    for (const key of won) expect(Buffer.from((await bucket.get(key))!.value).toString()).toBe(String(n));
  }
  await Promise.all(processes.map((one) => one.kill()));
});

test("processes that count by compare and swap lose no step", async () => {
  const dataDir = join(dir, "count");
  const processes = await Promise.all([1, 2].map(() => startEmbeddedProcess(dataDir)));
  await processes[0]!.ask({ kind: "put", name: "b", key: "sum", value: "0" });
  await Promise.all(processes.map((one) => one.ask({ kind: "count", name: "b", key: "sum", times: 300 })));
  await using store = await openSqliteKeyValueStore(dataDir);
  const sum = await (await store.bucket("b")).get("sum");
  expect(Buffer.from(sum!.value).toString()).toBe("600");
  await Promise.all(processes.map((one) => one.kill()));
});

test("what a process was told is written is there after it was killed", async () => {
  const dataDir = join(dir, "killed");
  const other = await startEmbeddedProcess(dataDir);
  for (let n = 0; n < 100; n++) await other.ask({ kind: "put", name: "b", key: `k${n}`, value: String(n) });
  await other.ask({ kind: "enqueue", name: "q", lane: "lane", id: "item" });
  await other.kill();
  await using store = await openSqliteKeyValueStore(dataDir);
  const bucket = await store.bucket("b");
  for (let n = 0; n < 100; n++) {
    expect(Buffer.from((await bucket.get(`k${n}`))!.value).toString()).toBe(String(n));
  }
  await using queues = await openSqliteWorkQueues(dataDir);
  await using taker = taking(await queues.queue("q", { leaseMs: 10_000 }));
  expect((await taker.next()).id).toBe("item");
});

test("a taker that waits gets what another process enqueues", async () => {
  const dataDir = join(dir, "enqueue");
  await using other = await startEmbeddedProcess(dataDir);
  await using queues = await openSqliteWorkQueues(dataDir);
  await using taker = taking(await queues.queue("q", { leaseMs: 10_000 }));
  for (const id of ["one", "two", "three"]) {
    const next = taker.next();
    await other.ask({ kind: "enqueue", name: "q", lane: `lane-${id}`, id });
    const delivery = await next;
    expect(delivery.id).toBe(id);
    await delivery.ack();
  }
});

test("what a killed process had taken is delivered again, first in its lane", async () => {
  const dataDir = join(dir, "taken");
  await using queues = await openSqliteWorkQueues(dataDir);
  const queue = await queues.queue("q", { leaseMs: 1000 });
  await queue.enqueue("lane", "one", new Uint8Array());
  await queue.enqueue("lane", "two", new Uint8Array());
  const other = await startEmbeddedProcess(dataDir);
  expect(await other.ask({ kind: "take", name: "q", leaseMs: 1000 })).toBe("one");
  await other.kill();
  await using taker = taking(queue);
  const again = await taker.next();
  expect(again).toMatchObject({ id: "one", attempt: 2 });
  await again.ack();
  const next = await taker.next();
  expect(next).toMatchObject({ id: "two", attempt: 1 });
  await next.ack();
});
