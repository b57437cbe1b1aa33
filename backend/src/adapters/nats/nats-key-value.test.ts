import { afterAll, beforeAll, describe } from "vitest";
import type { KeyValueStore } from "../../ports/key-value.ts";
import { keyValueContract } from "../../ports/key-value.contract.ts";
import { type NatsServer, startNatsServer } from "../../testing/nats-server.ts";
import { NatsLink } from "./link.ts";
import { openNatsKeyValueStore } from "./nats-key-value.ts";

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
