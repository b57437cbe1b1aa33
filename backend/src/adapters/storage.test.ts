import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { taking } from "../ports/work-queue.contract.ts";
import { type NatsServer, startNatsServer } from "../testing/nats-server.ts";
import { openStorage, type StorageConfig } from "./storage.ts";

let dir: string;
let server: NatsServer;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "platen-storage-"));
  server = await startNatsServer();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

async function* content(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

const kinds: Record<string, () => StorageConfig> = {
  embedded: () => ({ kind: "embedded", dataDir: join(dir, "data") }),
  "NATS with a folder of blobs": () => ({
    kind: "nats",
    servers: [server.url],
    blobs: { kind: "folder", dir: join(dir, "blobs") },
  }),
  "NATS with blobs in its object store": () => ({
    kind: "nats",
    servers: [server.url],
    blobs: { kind: "object-store" },
  }),
};

describe.each(Object.entries(kinds))("%s", (name, configOf) => {
  test("holds keys, items and blobs for whoever opens it next", async () => {
    const store = name.replace(/[^A-Za-z]/g, "-");
    const fill = async () => {
      await using storage = await openStorage(configOf());
      await (await storage.keyValue.bucket(store)).put("key", Buffer.from("value"));
      await (await storage.queues.queue(store, { leaseMs: 10_000 })).enqueue(
        "lane",
        "item",
        Buffer.from("x"),
      );
      await (await storage.blobs.store(store)).put("a/b", content("blob"));
    };
    await fill();
    await using storage = await openStorage(configOf());
    const bucket = await storage.keyValue.bucket(store);
    expect(Buffer.from((await bucket.get("key"))!.value).toString()).toBe("value");
    await using taker = taking(await storage.queues.queue(store, { leaseMs: 10_000 }));
    const delivery = await taker.next();
    expect(delivery.id).toBe("item");
    await delivery.ack();
    expect((await (await storage.blobs.store(store)).get("a/b"))?.sizeBytes).toBe(4);
  });
});

test("the embedded storage is one file and one folder", async () => {
  const dataDir = join(dir, "layout");
  await using storage = await openStorage({ kind: "embedded", dataDir });
  await storage.keyValue.bucket("b");
  const files = await readdir(dataDir);
  expect(files.filter((name) => !/^platen\.db-(wal|shm)$/.test(name)).sort()).toEqual(["blobs", "platen.db"]);
});

test("a storage of which a part cannot be opened says why", async () => {
  await using away = await startNatsServer();
  await away.stop();
  await expect(
    openStorage({ kind: "nats", servers: [away.url], blobs: { kind: "object-store" } }),
  ).rejects.toMatchObject({ code: "unavailable" });
  await expect(
    openStorage({ kind: "nats", servers: [server.url], blobs: { kind: "folder", dir: "/dev/null/x" } }),
  ).rejects.toMatchObject({ code: "configuration" });
});
