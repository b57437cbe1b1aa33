/** What watches and takers make of a network that goes and of servers that are restarted. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { reading } from "../../testing/buckets.ts";
import { taking } from "../../ports/work-queue.contract.ts";
import { type NatsServer, startNatsServer } from "../../testing/nats-server.ts";
import { startTcpProxy, type TcpProxy } from "../../testing/tcp-proxy.ts";
import { DeletionMarkers } from "./deletion-markers.ts";
import { NatsLink } from "./link.ts";
import { openBucket, openNatsKeyValueStore } from "./nats-key-value.ts";
import { openNatsWorkQueues } from "./nats-work-queue.ts";

let server: NatsServer;
let proxy: TcpProxy;
/** A link that can be cut, and one that cannot. */
let near: NatsLink;
let far: NatsLink;

beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  proxy = await startTcpProxy(Number(new URL(server.url).port));
  far = await NatsLink.open({ servers: [`127.0.0.1:${proxy.port}`] });
  near = await NatsLink.open({ servers: [server.url] });
});
afterEach(async () => {
  await far[Symbol.asyncDispose]();
  await near[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const untilConnected = (link: NatsLink, connected: boolean) =>
  vi.waitFor(() => expect(link.isConnected).toBe(connected), { timeout: 20_000, interval: 10 });

test("a watch that was cut off shows what it missed, once, deletions too", async () => {
  await using store = openNatsKeyValueStore(far);
  await using markers = new DeletionMarkers(near, 0);
  const written = await openBucket(near, markers, "platen-missed");
  for (const key of ["same", "changed", "gone", "back"]) await written.put(key, bytes("1"));
  const abort = new AbortController();
  const watch = reading((await store.bucket("missed")).watch(undefined, abort.signal));
  await watch.until("current");

  proxy.cut();
  await untilConnected(far, false);
  await written.put("changed", bytes("2"));
  await written.delete("gone");
  await written.delete("back");
  await written.put("back", bytes("2"));
  await written.put("new", bytes("1"));
  await written.put("short", bytes("1"));
  await written.delete("short");
  // Not even the marker of the deletion is left to tell.
  await vi.waitFor(async () =>
    expect((await near.manager.streams.info("KV_platen-missed")).state.messages).toBe(4),
  );
  proxy.restore();

  const missed = [await watch.next(), await watch.next(), await watch.next(), await watch.next()];
  expect(missed.sort()).toEqual(["-gone", "back=2", "changed=2", "new=1"]);
  await written.put("same", bytes("2"));
  expect(await watch.next()).toBe("same=2");
  abort.abort();
});

test("a watch that is cut off again and again ends up with what is there", async () => {
  await using here = openNatsKeyValueStore(far);
  await using there = openNatsKeyValueStore(near);
  const written = await there.bucket("flaky");
  const abort = new AbortController();
  const seen = new Map<string, string>();
  const watching = (async () => {
    for await (const change of (await here.bucket("flaky")).watch(undefined, abort.signal)) {
      if (change.kind === "put") seen.set(change.entry.key, Buffer.from(change.entry.value).toString());
      if (change.kind === "delete") seen.delete(change.key);
    }
  })();
  const expected = new Map<string, string>();
  for (let n = 0; n < 5; n++) {
    for (let key = 0; key < 20; key++) {
      if ((key + n) % 3 === 0) {
        await written.delete(`k${key}`);
        expected.delete(`k${key}`);
      } else {
        await written.put(`k${key}`, bytes(String(n)));
        expected.set(`k${key}`, String(n));
      }
      if (key === 10) proxy.cut();
    }
    proxy.restore();
    if (n % 2 === 0) await untilConnected(far, true);
  }
  await vi.waitFor(() => expect([...seen].sort()).toEqual([...expected].sort()), { timeout: 20_000 });
  abort.abort();
  await watching;
});

test("a watch goes on after the server was restarted", async () => {
  await using store = openNatsKeyValueStore(far);
  const bucket = await store.bucket("restarted");
  await bucket.put("a", bytes("1"));
  const abort = new AbortController();
  const watch = reading(bucket.watch(undefined, abort.signal));
  expect(await watch.until("current")).toEqual(["a=1", "current"]);
  await server.restart();
  await untilConnected(far, true);
  await bucket.put("b", bytes("1"));
  expect(await watch.next()).toBe("b=1");
  abort.abort();
});

test("what the server said is written is there after it was killed", async () => {
  await using store = openNatsKeyValueStore(near);
  const bucket = await store.bucket("killed");
  await using queues = openNatsWorkQueues(near);
  const queue = await queues.queue("killed", { leaseMs: 10_000 });
  for (let n = 0; n < 50; n++) await bucket.put(`k${n}`, bytes(String(n)));
  await queue.enqueue("lane", "item", bytes(""));
  await server.restart("SIGKILL");
  await untilConnected(near, true);
  for (let n = 0; n < 50; n++) {
    expect(Buffer.from((await bucket.get(`k${n}`))!.value).toString()).toBe(String(n));
  }
  await using taker = taking(queue);
  const delivery = await taker.next();
  expect(delivery.id).toBe("item");
  await delivery.ack();
});

test("a taker goes on after the network was gone, and what it had is still its own", async () => {
  await using here = openNatsWorkQueues(far);
  await using there = openNatsWorkQueues(near);
  const options = { leaseMs: 60_000 };
  const filled = await there.queue("cut", options);
  await filled.enqueue("a", "a1", bytes(""));
  await filled.enqueue("a", "a2", bytes(""));
  await using taker = taking(await here.queue("cut", options));
  const held = await taker.next();
  expect(held.id).toBe("a1");
  const next = taker.next();
  proxy.cut();
  await untilConnected(far, false);
  await filled.enqueue("b", "b1", bytes(""));
  proxy.restore();
  // A lane that came up meanwhile is found.
  const fromNewLane = await next;
  expect(fromNewLane.id).toBe("b1");
  await fromNewLane.ack();
  await held.extend();
  await held.ack();
  const last = await taker.next();
  expect(last).toMatchObject({ id: "a2", attempt: 1 });
  await last.ack();
});

test("a taker goes on after the server was restarted", async () => {
  await using queues = openNatsWorkQueues(near);
  const queue = await queues.queue("restarted", { leaseMs: 60_000 });
  await queue.enqueue("a", "a1", bytes(""));
  await queue.enqueue("a", "a2", bytes(""));
  await using taker = taking(queue);
  const held = await taker.next();
  await server.restart();
  await untilConnected(near, true);
  await held.extend();
  await held.ack();
  const next = await taker.next();
  expect(next).toMatchObject({ id: "a2", attempt: 1 });
  await next.ack();
});

test("what a taker had whose network went comes to another when its lease has run out", async () => {
  await using here = openNatsWorkQueues(far);
  await using there = openNatsWorkQueues(near);
  const options = { leaseMs: 1000 };
  const lost = await here.queue("gone", options);
  await lost.enqueue("a", "a1", bytes(""));
  await lost.enqueue("a", "a2", bytes(""));
  await using cutOff = taking(lost);
  const held = await cutOff.next();
  proxy.cut();
  await untilConnected(far, false);
  await using taker = taking(await there.queue("gone", options));
  const again = await taker.next();
  expect(again).toMatchObject({ id: "a1", attempt: 2 });
  await again.ack();
  const next = await taker.next();
  expect(next).toMatchObject({ id: "a2", attempt: 1 });
  proxy.restore();
  await untilConnected(far, true);
  await expect(held.extend()).rejects.toMatchObject({ code: "conflict" });
  await next.ack();
});

test("deliveries end promptly when aborted while the server is away", async () => {
  await using queues = openNatsWorkQueues(far);
  const queue = await queues.queue("away", { leaseMs: 10_000 });
  await queue.enqueue("a", "a1", bytes(""));
  const abort = new AbortController();
  const deliveries = queue.deliveries(abort.signal)[Symbol.asyncIterator]();
  expect((await deliveries.next()).value?.id).toBe("a1");
  const next = deliveries.next();
  proxy.cut();
  await untilConnected(far, false);
  abort.abort();
  expect((await next).done).toBe(true);
});
