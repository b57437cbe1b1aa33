import { nanos } from "nats";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { WorkQueues } from "../../ports/work-queue.ts";
import { taking, workQueueContract } from "../../ports/work-queue.contract.ts";
import { type NatsServer, startNatsServer } from "../../testing/nats-server.ts";
import { DeletionMarkers } from "./deletion-markers.ts";
import { NatsLink } from "./link.ts";
import { openBucket } from "./nats-key-value.ts";
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

describe("an id", () => {
  const bytes = new Uint8Array();

  test("is known for longer than the stream itself remembers it", async () => {
    await using link = await NatsLink.open({ servers: [server.url] });
    await using queues = openNatsWorkQueues(link);
    const queue = await queues.queue("known", { leaseMs: 60_000 });
    const { streams } = link.manager;
    const { config } = await streams.info("platen-queue-known");
    await streams.update("platen-queue-known", { ...config, duplicate_window: nanos(100) });
    await queue.enqueue("lane", "a", bytes);
    await using taker = taking(queue);
    const delivery = await taker.next();
    // When the stream takes the id of a later message again, it has forgotten that of the item.
    let n = 0;
    await vi.waitFor(async () => {
      const probe = await link.js.publish(`platen.queue.known.probes.${n++}`, bytes, { msgID: "probe" });
      expect(n > 1 && !probe.duplicate).toBe(true);
    });
    await queue.enqueue("lane", "a", bytes);
    await queue.enqueue("lane", "b", bytes);
    await delivery.ack();
    const next = await taker.next();
    expect(next.id).toBe("b");
    await queue.enqueue("lane", "a", bytes);
    // The lane is busy for so long that the acknowledgement is forgotten before a repetition would have its turn.
    await using markers = new DeletionMarkers(link);
    await (await openBucket(link, markers, "platen_acked-known", { ttlMs: 120_000 })).delete("a");
    await queue.enqueue("lane", "last", bytes);
    await next.ack();
    const last = await taker.next();
    expect(last.id).toBe("last");
    await last.ack();
  });

  test("whose acknowledgement got lost on its way is not delivered again", async () => {
    await using link = await NatsLink.open({ servers: [server.url] });
    await using queues = openNatsWorkQueues(link);
    const queue = await queues.queue("lost", { leaseMs: 60_000 });
    await queue.enqueue("lane", "a", bytes);
    await queue.enqueue("lane", "b", bytes);
    await using markers = new DeletionMarkers(link);
    await (await openBucket(link, markers, "platen_acked-lost", { ttlMs: 120_000 })).put("a", bytes);
    await using taker = taking(queue);
    const next = await taker.next();
    expect(next.id).toBe("b");
    await next.ack();
  });
});
