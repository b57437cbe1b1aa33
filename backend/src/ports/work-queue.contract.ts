/** What every adapter of the work queue port does. */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Delivery, WorkQueue, WorkQueues } from "./work-queue.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const newName = (): string => `queue-${randomBytes(6).toString("hex")}`;
/** A lease that no test outlives, and one that runs out while a test waits for it. */
const longLeaseMs = 60_000;
const shortLeaseMs = 1000;

/** Takes deliveries one by one. */
export function taking(queue: WorkQueue) {
  const abort = new AbortController();
  const deliveries = queue.deliveries(abort.signal)[Symbol.asyncIterator]();
  return {
    async next(): Promise<Delivery> {
      const { done, value } = await deliveries.next();
      if (done) throw new Error("the deliveries ended");
      return value;
    },
    /** Aborts, and resolves when the deliveries have ended. */
    async [Symbol.asyncDispose](): Promise<void> {
      abort.abort();
      expect((await deliveries.next()).done).toBe(true);
    },
  };
}

const fieldsOf = ({ lane, id, payload, attempt }: Delivery) => ({
  lane,
  id,
  payload: new TextDecoder().decode(payload),
  attempt,
});

/** `open` opens the same data each time, over a connection of its own. */
export function workQueueContract(open: () => Promise<WorkQueues>): void {
  const withQueue = async (
    leaseMs: number,
    work: (queue: WorkQueue, name: string) => Promise<void>,
  ): Promise<void> => {
    await using queues = await open();
    const name = newName();
    await work(await queues.queue(name, { leaseMs }), name);
  };

  describe("items", () => {
    test("what was enqueued is delivered with its lane, id and payload, in the order of the lane", () =>
      withQueue(longLeaseMs, async (queue) => {
        await queue.enqueue("printer-1", "job-1", bytes("first"));
        await queue.enqueue("printer-1", "job-2", bytes("second"));
        await using taker = taking(queue);
        const first = await taker.next();
        expect(fieldsOf(first)).toEqual({ lane: "printer-1", id: "job-1", payload: "first", attempt: 1 });
        await first.ack();
        const second = await taker.next();
        expect(fieldsOf(second)).toEqual({ lane: "printer-1", id: "job-2", payload: "second", attempt: 1 });
        await second.ack();
      }));

    test("a taker that waits gets what is enqueued later, in lanes that did not exist", () =>
      withQueue(longLeaseMs, async (queue) => {
        await using taker = taking(queue);
        for (const lane of ["a", "b", "c"]) {
          const next = taker.next();
          await queue.enqueue(lane, `in-${lane}`, bytes(lane));
          const delivery = await next;
          expect(delivery.lane).toBe(lane);
          await delivery.ack();
        }
      }));

    test("payloads are bytes: none, all 256, and a million of them come back as they were", () =>
      withQueue(longLeaseMs, async (queue) => {
        const payloads = [
          new Uint8Array(),
          Uint8Array.from({ length: 256 }, (_, n) => n),
          new Uint8Array(randomBytes(1_000_000)),
        ];
        for (const [n, payload] of payloads.entries()) await queue.enqueue("lane", `item${n}`, payload);
        await using taker = taking(queue);
        for (const payload of payloads) {
          const delivery = await taker.next();
          expect(Buffer.compare(delivery.payload, payload)).toBe(0);
          await delivery.ack();
        }
        await expect(queue.enqueue("lane", "big", new Uint8Array(1_000_001))).rejects.toMatchObject({
          code: "invalid-argument",
        });
      }));

    test("lanes, ids and names are checked", async () => {
      await using queues = await open();
      const queue = await queues.queue(newName(), { leaseMs: longLeaseMs });
      for (const wrong of ["", "a.b", "a b", "*", ">", "a/b", "ä", "n".repeat(201)]) {
        const refused = { code: "invalid-argument" };
        await expect(queue.enqueue(wrong, "id", bytes("x"))).rejects.toMatchObject(refused);
        await expect(queue.enqueue("lane", wrong, bytes("x"))).rejects.toMatchObject(refused);
        await expect(queues.queue(wrong, { leaseMs: longLeaseMs })).rejects.toMatchObject(refused);
      }
    });

    test("queues do not share items", async () => {
      await using queues = await open();
      const one = await queues.queue(newName(), { leaseMs: longLeaseMs });
      const two = await queues.queue(newName(), { leaseMs: longLeaseMs });
      await one.enqueue("lane", "id", bytes("one"));
      await two.enqueue("lane", "id", bytes("two"));
      await using taker = taking(two);
      const delivery = await taker.next();
      expect(fieldsOf(delivery).payload).toBe("two");
      await delivery.ack();
    });

    test("items that wait survive that everybody goes", async () => {
      const name = newName();
      const fill = async () => {
        await using queues = await open();
        const queue = await queues.queue(name, { leaseMs: longLeaseMs });
        await queue.enqueue("lane", "one", bytes("1"));
        await queue.enqueue("lane", "two", bytes("2"));
      };
      await fill();
      await using queues = await open();
      await using taker = taking(await queues.queue(name, { leaseMs: longLeaseMs }));
      for (const id of ["one", "two"]) {
        const delivery = await taker.next();
        expect(delivery.id).toBe(id);
        await delivery.ack();
      }
    });
  });

  describe("one id", () => {
    test("is enqueued once while it waits, while somebody has it, and just after it was done", () =>
      withQueue(longLeaseMs, async (queue) => {
        const again = async () => {
          await queue.enqueue("lane", "a", bytes("again"));
          await queue.enqueue("other-lane", "a", bytes("again"));
        };
        await queue.enqueue("lane", "a", bytes("once"));
        await again();
        await using taker = taking(queue);
        const delivery = await taker.next();
        expect(fieldsOf(delivery)).toEqual({ lane: "lane", id: "a", payload: "once", attempt: 1 });
        await again();
        await delivery.ack();
        await again();
        // Had any of these been taken in, it would come before this one.
        await queue.enqueue("lane", "last", bytes(""));
        await queue.enqueue("other-lane", "last-too", bytes(""));
        const rest = [await taker.next(), await taker.next()];
        expect(rest.map((one) => one.id).sort()).toEqual(["last", "last-too"]);
        for (const one of rest) await one.ack();
      }));

    test("is enqueued once by many who try at the same time, over several connections", async () => {
      await using one = await open();
      await using two = await open();
      const name = newName();
      const queues = [
        await one.queue(name, { leaseMs: longLeaseMs }),
        await two.queue(name, { leaseMs: longLeaseMs }),
      ];
      await Promise.all(
        Array.from({ length: 20 }, (_, n) => queues[n % 2]!.enqueue("lane", "a", bytes(String(n)))),
      );
      await queues[0]!.enqueue("lane", "last", bytes(""));
      await using taker = taking(queues[1]!);
      for (const id of ["a", "last"]) {
        const delivery = await taker.next();
        expect(delivery.id).toBe(id);
        await delivery.ack();
      }
    });
  });

  describe("lanes", () => {
    test("S101: each is worked off one item at a time and in order, by whichever of two takers", async () => {
      await using one = await open();
      await using two = await open();
      const name = newName();
      const queues = [
        await one.queue(name, { leaseMs: longLeaseMs }),
        await two.queue(name, { leaseMs: longLeaseMs }),
      ];
      const lanes = ["a", "b", "c"];
      const perLane = 8;
      for (let n = 0; n < perLane; n++) {
        for (const lane of lanes) await queues[n % 2]!.enqueue(lane, `${lane}${n}`, bytes(""));
      }
      const begun: string[] = [];
      const busy = new Set<string>();
      const takers = queues.map(taking);
      const finished = Promise.withResolvers<void>();
      const work = async (delivery: Delivery) => {
        expect(busy).not.toContain(delivery.lane);
        busy.add(delivery.lane);
        begun.push(delivery.id);
        await delivery.extend();
        busy.delete(delivery.lane);
        await delivery.ack();
        if (begun.length === lanes.length * perLane && busy.size === 0) finished.resolve();
      };
      const running = takers.map(async (taker) => {
        for (;;) {
          const delivery = await taker.next().catch(() => undefined);
          if (delivery === undefined) return;
          work(delivery).catch(finished.reject);
        }
      });
      await finished.promise;
      for (const lane of lanes) {
        expect(begun.filter((id) => id.startsWith(lane))).toEqual(
          Array.from({ length: perLane }, (_, n) => `${lane}${n}`),
        );
      }
      for (const taker of takers) await taker[Symbol.asyncDispose]();
      await Promise.all(running);
    });

    test("do not wait for each other: one whose first item is being worked on holds up no other", () =>
      withQueue(longLeaseMs, async (queue) => {
        await queue.enqueue("slow", "slow-1", bytes(""));
        await queue.enqueue("slow", "slow-2", bytes(""));
        await using taker = taking(queue);
        const slow = await taker.next();
        expect(slow.id).toBe("slow-1");
        for (let n = 0; n < 5; n++) {
          await queue.enqueue("quick", `quick-${n}`, bytes(""));
          const quick = await taker.next();
          expect(quick.id).toBe(`quick-${n}`);
          await quick.ack();
        }
        await slow.ack();
        const next = await taker.next();
        expect(next.id).toBe("slow-2");
        await next.ack();
      }));
  });

  describe("leases", () => {
    test("an item whose taker went silent comes again, before the next of its lane", () =>
      withQueue(shortLeaseMs, async (queue) => {
        await queue.enqueue("lane", "one", bytes("1"));
        await queue.enqueue("lane", "two", bytes("2"));
        await using taker = taking(queue);
        const silent = await taker.next();
        const again = await taker.next();
        expect(fieldsOf(again)).toEqual({ lane: "lane", id: "one", payload: "1", attempt: 2 });
        await expect(silent.extend()).rejects.toMatchObject({ code: "conflict" });
        await again.ack();
        const next = await taker.next();
        expect(next.id).toBe("two");
        await next.ack();
      }));

    test("a taker that comes back too late can neither keep nor give back what another has", () =>
      withQueue(shortLeaseMs, async (queue) => {
        await queue.enqueue("lane", "one", bytes(""));
        await using taker = taking(queue);
        const late = await taker.next();
        const holder = await taker.next();
        await late.release(0);
        await expect(late.extend()).rejects.toMatchObject({ code: "conflict" });
        await holder.extend();
        await holder.ack();
      }));

    test("what a taker that lost its lease has done is done", () =>
      withQueue(shortLeaseMs, async (queue) => {
        await queue.enqueue("lane", "one", bytes(""));
        await using taker = taking(queue);
        const late = await taker.next();
        const holder = await taker.next();
        expect(holder.attempt).toBe(2);
        await late.ack();
        await expect(holder.extend()).rejects.toMatchObject({ code: "conflict" });
        await holder.ack();
        await queue.enqueue("lane", "two", bytes(""));
        const next = await taker.next();
        expect(next.id).toBe("two");
        await next.ack();
      }));

    test("a lease that is renewed holds: the next item comes only after the acknowledgement", () =>
      withQueue(shortLeaseMs, async (queue) => {
        await queue.enqueue("lane", "one", bytes(""));
        await queue.enqueue("lane", "two", bytes(""));
        await using taker = taking(queue);
        const delivery = await taker.next();
        const next = taker.next();
        // Another lane's item, never acknowledged, tells that leases of this length run out meanwhile.
        await queue.enqueue("clock", "tick", bytes(""));
        const ticks: Delivery[] = [];
        let following = next;
        while (ticks.length < 3) {
          const tick = await Promise.race([following, delay(50)]);
          await delivery.extend();
          if (tick === undefined) continue;
          expect(tick.id).toBe("tick");
          ticks.push(tick);
          following = taker.next();
        }
        await delivery.ack();
        await ticks.at(-1)!.ack();
        const after = await following;
        expect(fieldsOf(after)).toMatchObject({ id: "two", attempt: 1 });
        await after.ack();
      }));

    test("a released item comes again first in its lane, counted, and after the delay", () =>
      withQueue(longLeaseMs, async (queue) => {
        await queue.enqueue("lane", "one", bytes(""));
        await queue.enqueue("lane", "two", bytes(""));
        await using taker = taking(queue);
        await (await taker.next()).release(0);
        const second = await taker.next();
        expect(fieldsOf(second)).toMatchObject({ id: "one", attempt: 2 });
        await second.release(1500);
        // Meanwhile other lanes go on, and this one keeps its order.
        await queue.enqueue("other", "quick", bytes(""));
        const quick = await taker.next();
        expect(quick.id).toBe("quick");
        await quick.ack();
        const third = await taker.next();
        expect(fieldsOf(third)).toMatchObject({ id: "one", attempt: 3 });
        await third.ack();
        const last = await taker.next();
        expect(last.id).toBe("two");
        await last.ack();
      }));

    test("an item that a taker holds when its connection goes is delivered to another", async () => {
      await using two = await open();
      const name = newName();
      const queue = await two.queue(name, { leaseMs: shortLeaseMs });
      await queue.enqueue("lane", "one", bytes(""));
      const hold = async () => {
        await using one = await open();
        await using taker = taking(await one.queue(name, { leaseMs: shortLeaseMs }));
        expect((await taker.next()).attempt).toBe(1);
      };
      await hold();
      await using taker = taking(queue);
      const delivery = await taker.next();
      expect(fieldsOf(delivery)).toMatchObject({ id: "one", attempt: 2 });
      await delivery.ack();
    });
  });

  describe("deliveries", () => {
    test("end when their signal aborts, before they began, while they wait, and while they are read", () =>
      withQueue(longLeaseMs, async (queue) => {
        for await (const delivery of queue.deliveries(AbortSignal.abort())) expect(delivery).toBeUndefined();

        const waiting = new AbortController();
        const next = queue.deliveries(waiting.signal)[Symbol.asyncIterator]().next();
        waiting.abort();
        expect((await next).done).toBe(true);

        await queue.enqueue("a", "a", bytes(""));
        await queue.enqueue("b", "b", bytes(""));
        const reader = new AbortController();
        const seen: Delivery[] = [];
        for await (const delivery of queue.deliveries(reader.signal)) {
          seen.push(delivery);
          reader.abort();
        }
        expect(seen).toHaveLength(1);
        // Who aborts keeps what it was given.
        await seen[0]!.extend();
        await seen[0]!.ack();

        await using taker = taking(queue);
        const rest = await taker.next();
        expect(rest.lane).toBe(seen[0]!.lane === "a" ? "b" : "a");
        await rest.ack();
      }));

    test("of a taker that stops reading go to others", () =>
      withQueue(longLeaseMs, async (queue) => {
        const lanes = ["a", "b", "c", "d"];
        for (const lane of lanes) await queue.enqueue(lane, `in-${lane}`, bytes(""));
        const seen: string[] = [];
        for await (const delivery of queue.deliveries(new AbortController().signal)) {
          seen.push(delivery.lane);
          await delivery.ack();
          break;
        }
        await using taker = taking(queue);
        while (seen.length < lanes.length) {
          const delivery = await taker.next();
          seen.push(delivery.lane);
          await delivery.ack();
        }
        expect(seen.sort()).toEqual(lanes);
      }));
  });
}
