/** What every adapter of the key-value port does. */
import { randomBytes } from "node:crypto";
import { hasCode } from "@platen/proto";
import { describe, expect, test, vi } from "vitest";
import type { Bucket, Change, Entry, KeyValueStore } from "./key-value.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (entry: Entry | undefined): string | undefined => entry && new TextDecoder().decode(entry.value);
const newName = (): string => `bucket-${randomBytes(6).toString("hex")}`;

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** A change as a word: `a=1`, `-a`, `current`. */
const word = (change: Change): string =>
  change.kind === "put"
    ? `${change.entry.key}=${text(change.entry)}`
    : change.kind === "delete"
      ? `-${change.key}`
      : "current";

/** Reads a watch word by word. */
export function reading(changes: AsyncIterable<Change>) {
  const iterator = changes[Symbol.asyncIterator]();
  const next = async (): Promise<string | undefined> => {
    const result = await iterator.next();
    return result.done ? undefined : word(result.value);
  };
  return {
    next,
    /** All words up to this one, it included. */
    async until(last: string): Promise<string[]> {
      const words: string[] = [];
      for (let one = await next(); one !== undefined; one = await next()) {
        words.push(one);
        if (one === last) return words;
      }
      throw new Error(`the watch ended before ${last}, after ${words.join(" ")}`);
    },
  };
}

/** `open` opens the same data each time, over a connection of its own. */
export function keyValueContract(open: () => Promise<KeyValueStore>): void {
  const withBucket = async (
    work: (bucket: Bucket, name: string, store: KeyValueStore) => Promise<void>,
    ttlMs?: number,
  ): Promise<void> => {
    await using store = await open();
    const name = newName();
    await work(await store.bucket(name, ttlMs === undefined ? {} : { ttlMs }), name, store);
  };

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
        expect(await all(bucket.entries())).toEqual([]);
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
          await expect(all(bucket.entries(key))).rejects.toMatchObject(refused);
          await expect(all(bucket.keys(key))).rejects.toMatchObject(refused);
          await expect(all(bucket.watch(key, abort.signal))).rejects.toMatchObject(refused);
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
        expect((await all(bucket.entries())).map((entry) => entry.key)).toEqual(expected);
        expect((await all(bucket.entries())).map(text)).toEqual(expected);
        expect(await all(bucket.keys())).toEqual(expected);
      }));

    test("a prefix selects whole segments only", () =>
      withBucket(async (bucket) => {
        for (const key of keys) await bucket.put(key, bytes(key));
        expect(await all(bucket.keys("job"))).toEqual(["job", "job.10", "job.10.a", "job.2"]);
        expect(await all(bucket.keys("job.10"))).toEqual(["job.10", "job.10.a"]);
        expect(await all(bucket.keys("job.1"))).toEqual([]);
        expect(await all(bucket.keys("jo"))).toEqual([]);
        expect((await all(bucket.entries("job.10"))).map(text)).toEqual(["job.10", "job.10.a"]);
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

  describe("watching", () => {
    test("shows what exists, `current` once, then changes and deletions as they come", () =>
      withBucket(async (bucket) => {
        await bucket.put("a", bytes("1"));
        await bucket.put("b", bytes("1"));
        await bucket.put("gone", bytes("1"));
        await bucket.delete("gone");
        const abort = new AbortController();
        const watch = reading(bucket.watch(undefined, abort.signal));
        expect((await watch.until("current")).sort()).toEqual(["a=1", "b=1", "current"]);
        const revision = await bucket.put("a", bytes("2"));
        expect(await watch.next()).toBe("a=2");
        await bucket.delete("b");
        expect(await watch.next()).toBe("-b");
        await bucket.create("b", bytes("3"));
        expect(await watch.next()).toBe("b=3");
        await bucket.update("a", bytes("4"), revision);
        expect(await watch.next()).toBe("a=4");
        abort.abort();
        expect(await watch.next()).toBeUndefined();
      }));

    test("of an empty bucket it shows `current` at once", () =>
      withBucket(async (bucket) => {
        const abort = new AbortController();
        const watch = reading(bucket.watch("a", abort.signal));
        expect(await watch.next()).toBe("current");
        await bucket.put("a.b", bytes("1"));
        expect(await watch.next()).toBe("a.b=1");
        abort.abort();
      }));

    test("of a prefix it shows whole segments only", () =>
      withBucket(async (bucket) => {
        const abort = new AbortController();
        for (const key of ["job", "job.1", "jobs", "job-1"]) await bucket.put(key, bytes("1"));
        const watch = reading(bucket.watch("job", abort.signal));
        expect((await watch.until("current")).sort()).toEqual(["current", "job.1=1", "job=1"]);
        for (const key of ["jobs", "job-1", "job", "other", "job.2.x"]) await bucket.put(key, bytes("2"));
        expect(await watch.until("job.2.x=2")).toEqual(["job=2", "job.2.x=2"]);
        await bucket.delete("jobs");
        await bucket.delete("job");
        expect(await watch.next()).toBe("-job");
        abort.abort();
      }));

    test("sees what other connections write, and misses nothing of what it is not slow for", async () => {
      await using one = await open();
      await using two = await open();
      const name = newName();
      const [watched, written] = [await one.bucket(name), await two.bucket(name)];
      const abort = new AbortController();
      const watch = reading(watched.watch(undefined, abort.signal));
      expect(await watch.next()).toBe("current");
      for (let n = 0; n < 50; n++) {
        await written.put(`k${n % 5}`, bytes(String(n)));
        expect(await watch.next()).toBe(`k${n % 5}=${n}`);
      }
      await written.delete("k0");
      expect(await watch.next()).toBe("-k0");
      abort.abort();
    });

    test("under a storm of writes it ends with the last of each key, in order", () =>
      withBucket(async (bucket) => {
        const abort = new AbortController();
        const changes = bucket.watch(undefined, abort.signal)[Symbol.asyncIterator]();
        const storm = async (key: string) => {
          for (let n = 0; n < 60; n++) await bucket.put(key, bytes(String(n)));
        };
        const writing = Promise.all(["a", "b", "c"].map(storm)).then(() => bucket.put("end", bytes("!")));
        const last = new Map<string, string>();
        let revision = 0;
        let current = false;
        for (;;) {
          const { value: change } = (await changes.next()) as { value: Change };
          if (change.kind === "current") current = true;
          if (change.kind !== "put") continue;
          if (current) expect(change.entry.revision).toBeGreaterThan(revision);
          revision = change.entry.revision;
          last.set(change.entry.key, text(change.entry)!);
          if (change.entry.key === "end") break;
        }
        expect(Object.fromEntries(last)).toEqual({ a: "59", b: "59", c: "59", end: "!" });
        await writing;
        abort.abort();
      }));

    test("a key that is written all the while is missing from no listing, and from no watch before `current`", async () => {
      await using reader = await open();
      await using writer = await open();
      const name = newName();
      const [read, written] = await Promise.all([reader.bucket(name), writer.bucket(name)]);
      const keys = ["job.1", "job.2", "job.3"];
      for (const key of keys) await written.put(key, bytes("0"));
      const stop = new AbortController();
      const writing = (async () => {
        for (let n = 1; !stop.signal.aborted; n++)
          await Promise.all(keys.map((key) => written.put(key, bytes(String(n)))));
      })();
      try {
        for (let round = 0; round < 40; round++) {
          expect((await all(read.entries("job"))).map(({ key }) => key)).toEqual(keys);
          const abort = new AbortController();
          const seen = await reading(read.watch("job", abort.signal)).until("current");
          abort.abort();
          for (const key of keys) expect(seen.some((one) => one.startsWith(`${key}=`))).toBe(true);
        }
      } finally {
        stop.abort();
        await writing;
      }
    });

    test("a slow reader gets the newest state", () =>
      withBucket(async (bucket) => {
        const abort = new AbortController();
        const watch = reading(bucket.watch(undefined, abort.signal));
        expect(await watch.next()).toBe("current");
        for (let n = 0; n < 20; n++) await bucket.put("a", bytes(String(n)));
        await bucket.put("b", bytes("end"));
        expect((await watch.until("b=end")).slice(-2)).toEqual(["a=19", "b=end"]);
        abort.abort();
      }));

    test("ends when its signal aborts, before it began, while it waits, and while it is read", () =>
      withBucket(async (bucket) => {
        await bucket.put("a", bytes("1"));
        await bucket.put("b", bytes("1"));
        expect(await all(bucket.watch(undefined, AbortSignal.abort()))).toEqual([]);

        const waiting = new AbortController();
        const watch = reading(bucket.watch(undefined, waiting.signal));
        await watch.until("current");
        const next = watch.next();
        waiting.abort();
        expect(await next).toBeUndefined();

        const reader = new AbortController();
        const seen: Change[] = [];
        for await (const change of bucket.watch(undefined, reader.signal)) {
          seen.push(change);
          reader.abort();
        }
        expect(seen).toHaveLength(1);
      }));
  });

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
        await vi.waitFor(async () => expect(await all(bucket.keys())).toEqual(["kept"]), { timeout: 20_000 });
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
