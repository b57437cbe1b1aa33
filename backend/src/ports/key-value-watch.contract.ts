/** What every adapter of the key-value port does for those who watch a bucket. */
import { describe, expect, test } from "vitest";
import { bucketsOf, bytes, newName, reading, text } from "../testing/buckets.ts";
import type { Change, KeyValueStore } from "./key-value.ts";

/** A part of the key-value port's contract. */
export function watchContract(open: () => Promise<KeyValueStore>): void {
  const withBucket = bucketsOf(open);

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
          expect((await Array.fromAsync(read.entries("job"))).map(({ key }) => key)).toEqual(keys);
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
        expect(await Array.fromAsync(bucket.watch(undefined, AbortSignal.abort()))).toEqual([]);

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
}
