/** What every adapter of the key-value port does. */
import { randomBytes } from "node:crypto";
import { hasCode } from "@platen/proto";
import { describe, expect, test, vi } from "vitest";
import { bucketsOf, bytes, newName, reading, text } from "../testing/buckets.ts";
import { watchContract } from "./key-value-watch.contract.ts";
import type { Bucket, KeyValueStore } from "./key-value.ts";

/** `open` opens the same data each time, over a connection of its own. */
export function keyValueContract(open: () => Promise<KeyValueStore>): void {
  const withBucket = bucketsOf(open);

  describe("single keys", () => {
    test("what was put is got, with a revision that grows with every write to the bucket", () =>
      withBucket(async (bucket) => {
        expect(await bucket.get("a")).toBeUndefined();
        const first = await bucket.put("a", bytes("one"));
        const other = await bucket.put("b", bytes("two"));
        const second = await bucket.put("a", bytes("three"));
        expect(first).toBeLessThan(other);
        expect(other).toBeLessThan(second);
        expect(await bucket.get("a")).toEqual({ key: "a", value: bytes("three"), revision: second });
      }));

    test("a key is created once; after a deletion it can be created again", () =>
      withBucket(async (bucket) => {
        await bucket.create("a", bytes("one"));
        await expect(bucket.create("a", bytes("two"))).rejects.toMatchObject({ code: "conflict" });
        expect(text(await bucket.get("a"))).toBe("one");
        for (let round = 0; round < 3; round++) {
          await bucket.delete("a");
          expect(await bucket.get("a")).toBeUndefined();
          const revision = await bucket.create("a", bytes(`again ${round}`));
          expect(await bucket.get("a")).toEqual({ key: "a", value: bytes(`again ${round}`), revision });
        }
      }));

    test("S1105: of many simultaneous creators over several connections exactly one wins", async () => {
      await using one = await open();
      await using two = await open();
      await using three = await open();
      const name = newName();
      const buckets = await Promise.all([one, two, three].map((store) => store.bucket(name)));
      for (let round = 0; round < 10; round++) {
        const outcomes = await Promise.allSettled(
          Array.from({ length: 12 }, (_, n) => buckets[n % 3]!.create(`session${round}`, bytes(String(n)))),
        );
        const winner = outcomes.findIndex((outcome) => outcome.status === "fulfilled");
        const losers = outcomes.filter((outcome) => outcome.status === "rejected");
        expect(losers).toHaveLength(11);
        expect(losers.every(({ reason }) => hasCode(reason, "conflict"))).toBe(true);
        expect(text(await buckets[round % 3]!.get(`session${round}`))).toBe(String(winner));
      }
    });

    test("an update of another revision than the last is refused and changes nothing", () =>
      withBucket(async (bucket) => {
        const first = await bucket.create("a", bytes("one"));
        const second = await bucket.update("a", bytes("two"), first);
        expect(second).toBeGreaterThan(first);
        await expect(bucket.update("a", bytes("stale"), first)).rejects.toMatchObject({ code: "conflict" });
        await expect(bucket.update("a", bytes("ahead"), second + 1)).rejects.toMatchObject({
          code: "conflict",
        });
        await expect(bucket.update("missing", bytes("x"), first)).rejects.toMatchObject({ code: "conflict" });
        await bucket.delete("a");
        await expect(bucket.update("a", bytes("late"), second)).rejects.toMatchObject({ code: "conflict" });
        expect(await Array.fromAsync(bucket.entries())).toEqual([]);
      }));

    test("counting by compare and swap over two connections loses no step", async () => {
      await using one = await open();
      await using two = await open();
      const name = newName();
      const buckets = [await one.bucket(name), await two.bucket(name)];
      await buckets[0]!.create("count", bytes("0"));
      const step = async (bucket: Bucket): Promise<void> => {
        for (;;) {
          const entry = await bucket.get("count");
          try {
            await bucket.update("count", bytes(String(Number(text(entry)) + 1)), entry!.revision);
            return;
          } catch (error) {
            if (!hasCode(error, "conflict")) throw error;
          }
        }
      };
      const steps = async (bucket: Bucket) => {
        for (let n = 0; n < 10; n++) await step(bucket);
      };
      await Promise.all([0, 1, 0, 1].map((n) => steps(buckets[n]!)));
      expect(text(await buckets[0]!.get("count"))).toBe("40");
    });

    test("a deletion of another revision than the last is refused; of a missing key it is no error", () =>
      withBucket(async (bucket) => {
        const first = await bucket.put("a", bytes("one"));
        const second = await bucket.put("a", bytes("two"));
        await expect(bucket.delete("a", first)).rejects.toMatchObject({ code: "conflict" });
        expect(text(await bucket.get("a"))).toBe("two");
        await bucket.delete("a", second);
        expect(await bucket.get("a")).toBeUndefined();
        await bucket.delete("a");
        await bucket.delete("a", second);
        await bucket.delete("never");
      }));

    test("values are bytes: none, all 256, and a million of them come back as they were", () =>
      withBucket(async (bucket) => {
        const values = {
          empty: new Uint8Array(),
          every: Uint8Array.from({ length: 256 }, (_, n) => n),
          large: new Uint8Array(randomBytes(1_000_000)),
        };
        for (const [key, value] of Object.entries(values)) await bucket.put(key, value);
        for (const [key, value] of Object.entries(values)) {
          const found = await bucket.get(key);
          expect(found?.value).toBeInstanceOf(Uint8Array);
          expect(Buffer.compare(found!.value, value)).toBe(0);
        }
        await expect(bucket.put("a", new Uint8Array(1_000_001))).rejects.toMatchObject({
          code: "invalid-argument",
        });
      }));

    test("a value is a part of a larger buffer, and the caller's buffer may change afterwards", () =>
      withBucket(async (bucket) => {
        const buffer = bytes("..value..");
        await bucket.put("a", buffer.subarray(2, 7));
        buffer.fill(0);
        expect(text(await bucket.get("a"))).toBe("value");
      }));

    test("odd keys are taken, wrong ones refused by every operation", () =>
      withBucket(async (bucket) => {
        for (const key of ["-", "_", "0", "A-b_9", "a.b.c", "-.-", "k".repeat(200)]) {
          await bucket.create(key, bytes(key));
          expect(text(await bucket.get(key))).toBe(key);
        }
        const abort = new AbortController();
        for (const key of [
          "",
          ".",
          "a.",
          ".a",
          "a..b",
          "a b",
          "a/b",
          "a*",
          ">",
          "ä",
          "a\n",
          "a=",
          "k".repeat(201),
        ]) {
          const refused = { code: "invalid-argument" };
          await expect(bucket.get(key)).rejects.toMatchObject(refused);
          await expect(bucket.create(key, bytes("x"))).rejects.toMatchObject(refused);
          await expect(bucket.update(key, bytes("x"), 1)).rejects.toMatchObject(refused);
          await expect(bucket.put(key, bytes("x"))).rejects.toMatchObject(refused);
          await expect(bucket.delete(key)).rejects.toMatchObject(refused);
          await expect(Array.fromAsync(bucket.entries(key))).rejects.toMatchObject(refused);
          await expect(Array.fromAsync(bucket.keys(key))).rejects.toMatchObject(refused);
          await expect(Array.fromAsync(bucket.watch(key, abort.signal))).rejects.toMatchObject(refused);
        }
      }));

    test("buckets do not share keys, and their names are checked", async () => {
      await using store = await open();
      const [one, two] = [await store.bucket(newName()), await store.bucket(newName())];
      await one.put("a", bytes("one"));
      expect(await two.get("a")).toBeUndefined();
      for (const name of ["", "a.b", "a_b", "a b", "../a", "n".repeat(65)]) {
        await expect(store.bucket(name)).rejects.toMatchObject({ code: "invalid-argument" });
      }
    });

    test("what was written is there when the store is opened again", async () => {
      const name = newName();
      const write = async () => {
        await using store = await open();
        return await (await store.bucket(name)).put("a", bytes("kept"));
      };
      const revision = await write();
      await using store = await open();
      const bucket = await store.bucket(name);
      expect(await bucket.get("a")).toEqual({ key: "a", value: bytes("kept"), revision });
      expect(await bucket.put("a", bytes("later"))).toBeGreaterThan(revision);
    });

    test("a store that was disposed of says so", async () => {
      const store = await open();
      const bucket = await store.bucket(newName());
      await store[Symbol.asyncDispose]();
      await expect(bucket.get("a")).rejects.toMatchObject({ code: "unavailable" });
      await expect(bucket.put("a", bytes("x"))).rejects.toMatchObject({ code: "unavailable" });
    });
  });

  describe("listing", () => {
    const keys = ["job", "job-1", "job.2", "job.10", "job.10.a", "jobs", "z", "A"];

    test("entries and keys come in the order of their keys, deleted ones not", () =>
      withBucket(async (bucket) => {
        for (const key of keys) await bucket.put(key, bytes(key));
        await bucket.delete("z");
        const expected = keys.filter((key) => key !== "z").sort();
        expect((await Array.fromAsync(bucket.entries())).map((entry) => entry.key)).toEqual(expected);
        expect((await Array.fromAsync(bucket.entries())).map(text)).toEqual(expected);
        expect(await Array.fromAsync(bucket.keys())).toEqual(expected);
      }));

    test("a prefix selects whole segments only", () =>
      withBucket(async (bucket) => {
        for (const key of keys) await bucket.put(key, bytes(key));
        expect(await Array.fromAsync(bucket.keys("job"))).toEqual(["job", "job.10", "job.10.a", "job.2"]);
        expect(await Array.fromAsync(bucket.keys("job.10"))).toEqual(["job.10", "job.10.a"]);
        expect(await Array.fromAsync(bucket.keys("job.1"))).toEqual([]);
        expect(await Array.fromAsync(bucket.keys("jo"))).toEqual([]);
        expect((await Array.fromAsync(bucket.entries("job.10"))).map(text)).toEqual(["job.10", "job.10.a"]);
      }));

    test("many entries are listed in full, and the reader may write meanwhile or stop", () =>
      withBucket(async (bucket) => {
        const expected = Array.from({ length: 450 }, (_, n) => `k${String(n).padStart(3, "0")}`);
        await Promise.all(expected.map((key) => bucket.put(key, bytes(key))));
        const seen: string[] = [];
        for await (const { key } of bucket.entries()) {
          seen.push(key);
          if (seen.length % 100 === 0) await bucket.put(key, bytes("written by the reader"));
        }
        expect(seen).toEqual(expected);
        for await (const key of bucket.keys()) {
          expect(key).toBe("k000");
          break;
        }
        expect(text(await bucket.get("k099"))).toBe("written by the reader");
      }));
  });

  watchContract(open);

  describe("expiry", () => {
    test("a key expires after its last write, and can then be created again", () =>
      withBucket(async (bucket) => {
        await bucket.put("left", bytes("1"));
        const first = await bucket.put("stale", bytes("1"));
        // What is written again and again stays, however long the other one takes to go.
        await vi.waitFor(
          async () => {
            await bucket.put("kept", bytes("1"));
            expect(await bucket.get("kept")).toBeDefined();
            expect(await bucket.get("left")).toBeUndefined();
          },
          { timeout: 20_000, interval: 50 },
        );
        await vi.waitFor(async () => expect(await Array.fromAsync(bucket.keys())).toEqual(["kept"]), {
          timeout: 20_000,
        });
        await expect(bucket.update("stale", bytes("2"), first)).rejects.toMatchObject({ code: "conflict" });
        await bucket.create("left", bytes("2"));
        expect(text(await bucket.get("left"))).toBe("2");
        const abort = new AbortController();
        const watch = reading(bucket.watch("left", abort.signal));
        expect(await watch.until("current")).toEqual(["left=2", "current"]);
        abort.abort();
      }, 1500));

    test("a bucket that is opened with another expiry takes it", async () => {
      await using store = await open();
      const name = newName();
      await store.bucket(name);
      const bucket = await store.bucket(name, { ttlMs: 300 });
      await bucket.put("a", bytes("1"));
      await vi.waitFor(async () => expect(await bucket.get("a")).toBeUndefined(), { timeout: 20_000 });
    });
  });
}
