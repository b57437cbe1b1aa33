import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { KeyValueStore } from "../../ports/key-value.ts";
import { keyValueContract } from "../../ports/key-value.contract.ts";
import { type NatsServer, startNatsServer } from "../../testing/nats-server.ts";
import { DeletionMarkers } from "./deletion-markers.ts";
import { NatsLink } from "./link.ts";
import { openBucket, openNatsKeyValueStore } from "./nats-key-value.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server[Symbol.asyncDispose]());

/** A store over a connection of its own. */
async function openStore(): Promise<KeyValueStore> {
  const link = await NatsLink.open({ servers: [server.url] });
  const store = openNatsKeyValueStore(link);
  return {
    bucket: store.bucket,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await link[Symbol.asyncDispose]();
    },
  };
}

describe("the NATS key-value store keeps the contract", () => {
  keyValueContract(openStore);
});

describe("deletions", () => {
  const messagesOf = async (link: NatsLink, name: string): Promise<number> =>
    (await link.manager.streams.info(`KV_${name}`)).state.messages;

  test("leave nothing behind, and take no entry with them that was created since", async () => {
    await using link = await NatsLink.open({ servers: [server.url] });
    await using markers = new DeletionMarkers(link, 100);
    const bucket = await openBucket(link, markers, "platen-traces");
    for (const key of ["a", "b", "c"]) {
      await bucket.put(key, new Uint8Array(1));
      await bucket.delete(key);
    }
    await bucket.create("b", new Uint8Array(1));
    await vi.waitFor(async () => expect(await messagesOf(link, "platen-traces")).toBe(1), {
      timeout: 20_000,
    });
    expect(await bucket.get("b")).toBeDefined();
  });

  test("whose process did not live to remove their traces are cleared away by the next one", async () => {
    await using link = await NatsLink.open({ servers: [server.url] });
    const crash = async () => {
      await using markers = new DeletionMarkers(link);
      const bucket = await openBucket(link, markers, "platen-crashed");
      await bucket.put("a", new Uint8Array(1));
      await bucket.delete("a");
    };
    await crash();
    expect(await messagesOf(link, "platen-crashed")).toBe(1);
    await using markers = new DeletionMarkers(link, 0);
    await openBucket(link, markers, "platen-crashed");
    await vi.waitFor(async () => expect(await messagesOf(link, "platen-crashed")).toBe(0), {
      timeout: 20_000,
    });
  });
});
