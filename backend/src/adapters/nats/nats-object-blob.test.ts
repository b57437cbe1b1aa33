import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blobContract } from "../../ports/blob.contract.ts";
import type { BlobStores } from "../../ports/blob.ts";
import { type NatsServer, startNatsServer } from "../../testing/nats-server.ts";
import { NatsLink } from "./link.ts";
import { openNatsBlobStores } from "./nats-object-blob.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server[Symbol.asyncDispose]());

/** Stores over a connection of their own. */
async function openStores(): Promise<BlobStores> {
  const link = await NatsLink.open({ servers: [server.url] });
  const stores = openNatsBlobStores(link);
  return { store: stores.store, [Symbol.asyncDispose]: () => link[Symbol.asyncDispose]() };
}

async function* bytes(size: number): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(size);
}

describe("the NATS blob stores keep the contract", () => {
  blobContract(openStores);
});

describe("the stream", () => {
  test("holds nothing of what was replaced, deleted, or never came to an end", async () => {
    await using link = await NatsLink.open({ servers: [server.url] });
    const store = await openNatsBlobStores(link).store("clean");
    const messages = async () => (await link.manager.streams.info("platen-blob-clean")).state.messages;
    await store.put("a/b", bytes(1_000_000));
    await store.put("a/b", bytes(1));
    // The chunk, and what says that it is a blob.
    expect(await messages()).toBe(2);
    await expect(store.put("a/b", bytes(1_000_000), { maxBytes: 10 })).rejects.toThrow();
    expect(await messages()).toBe(2);
    await store.delete("a");
    expect(await messages()).toBe(0);
  });

  test("chunks of uploads that a crashed process left are swept when it is opened, those under way are not", async () => {
    await using link = await NatsLink.open({ servers: [server.url] });
    const stores = openNatsBlobStores(link);
    const store = await stores.store("swept");
    await store.put("kept", bytes(10));
    const leave = async (key: string, begunMs: number) => {
      const upload = `${begunMs.toString(36)}-0123456789abcdef`;
      await link.js.publish(`platen.blob.swept.upload.${key}.=.${upload}`);
      await link.js.publish(`platen.blob.swept.data.${key}.=.${upload}.0`, new Uint8Array(10));
    };
    await leave("old", Date.now() - 48 * 3_600_000);
    await leave("kept", Date.now() - 48 * 3_600_000);
    await leave("young", Date.now());
    await stores.store("swept");
    const { state } = await link.manager.streams.info("platen-blob-swept", { subjects_filter: ">" });
    const keys = Object.keys(state.subjects ?? {}).map((subject) => subject.split(".").slice(3, 5).join(" "));
    expect(keys.sort()).toEqual(["data kept", "data young", "info kept", "upload young"]);
    await store.delete("young");
    expect((await link.manager.streams.info("platen-blob-swept")).state.messages).toBe(2);
  });
});
