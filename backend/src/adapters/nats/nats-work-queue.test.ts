import { afterAll, beforeAll, describe } from "vitest";
import type { WorkQueues } from "../../ports/work-queue.ts";
import { workQueueContract } from "../../ports/work-queue.contract.ts";
import { type NatsServer, startNatsServer } from "../../testing/nats-server.ts";
import { NatsLink } from "./link.ts";
import { openNatsWorkQueues } from "./nats-work-queue.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server[Symbol.asyncDispose]());

/** Queues over a connection of their own. */
async function openQueues(): Promise<WorkQueues> {
  const link = await NatsLink.open({ servers: [server.url] });
  const queues = openNatsWorkQueues(link);
  return {
    queue: queues.queue,
    async [Symbol.asyncDispose]() {
      await queues[Symbol.asyncDispose]();
      await link[Symbol.asyncDispose]();
    },
  };
}

describe("the NATS work queues keep the contract", () => {
  workQueueContract(openQueues);
});
