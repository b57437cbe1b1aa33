/** What every adapter of the blob port does. */
import { randomBytes } from "node:crypto";
import { PlatenError } from "@platen/proto";
import { describe, expect, test } from "vitest";
import type { BlobInfo, BlobStore, BlobStores } from "./blob.ts";

const newName = (): string => `store-${randomBytes(6).toString("hex")}`;

/** The bytes in pieces of odd sizes. */
async function* pieces(bytes: Uint8Array, pieceBytes = 70_001): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

const text = (content: string): AsyncGenerator<Uint8Array> => pieces(new TextEncoder().encode(content));

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function contentOf(store: BlobStore, key: string, startByte?: number): Promise<Buffer | undefined> {
  const blob = await store.get(key);
  return blob && Buffer.concat(await all(blob.bytes(startByte)));
}

const keysOf = async (blobs: AsyncIterable<BlobInfo>): Promise<string[]> =>
  (await all(blobs)).map(({ key }) => key).sort();

/** `open` opens the same data each time. */
export function blobContract(open: () => Promise<BlobStores>): void {
  const withStore = async (work: (store: BlobStore, name: string) => Promise<void>): Promise<void> => {
    await using stores = await open();
    const name = newName();
    await work(await stores.store(name), name);
  };

  test("what was put is got, whatever its size", () =>
    withStore(async (store) => {
      for (const size of [0, 1, 255, 262_143, 262_144, 262_145, 3_000_000]) {
        const content = randomBytes(size);
        expect(await store.put(`size/${size}`, pieces(content))).toBe(size);
        const blob = await store.get(`size/${size}`);
        expect(blob?.sizeBytes).toBe(size);
        expect(Buffer.compare((await contentOf(store, `size/${size}`))!, content)).toBe(0);
      }
      expect(await store.get("missing")).toBeUndefined();
      expect(await store.get("size")).toBeUndefined();
      expect(await store.get("size/1/more")).toBeUndefined();
    }));

  test("reads from any byte to the end", () =>
    withStore(async (store) => {
      const content = randomBytes(600_000);
      await store.put("a", pieces(content));
      for (const start of [0, 1, 262_143, 262_144, 262_145, 599_999, 600_000, 700_000]) {
        expect(Buffer.compare((await contentOf(store, "a", start))!, content.subarray(start))).toBe(0);
      }
    }));

  test("a reader may stop early, and two may read at once", () =>
    withStore(async (store) => {
      const content = randomBytes(2_000_000);
      await store.put("a", pieces(content));
      const blob = (await store.get("a"))!;
      for await (const chunk of blob.bytes()) {
        expect(Buffer.compare(chunk, content.subarray(0, chunk.byteLength))).toBe(0);
        break;
      }
      const [one, two] = await Promise.all([all(blob.bytes()), all(blob.bytes(1_000_000))]);
      expect(Buffer.compare(Buffer.concat(one), content)).toBe(0);
      expect(Buffer.compare(Buffer.concat(two), content.subarray(1_000_000))).toBe(0);
    }));

  test("a consumer may change the chunks that it reads, and a producer those that it gave", () =>
    withStore(async (store) => {
      const given = Buffer.from("given");
      async function* reused() {
        yield given;
        given.fill(0);
        yield given;
      }
      await store.put("a", reused());
      for await (const chunk of (await store.get("a"))!.bytes()) chunk.fill(1);
      expect(await contentOf(store, "a")).toEqual(Buffer.from("given\0\0\0\0\0"));
    }));

  test("a second put replaces the blob as a whole", () =>
    withStore(async (store) => {
      const long = randomBytes(900_000);
      await store.put("a", pieces(long));
      await store.put("a", text("short"));
      expect((await contentOf(store, "a"))?.toString()).toBe("short");
      await store.put("a", pieces(long));
      expect(Buffer.compare((await contentOf(store, "a"))!, long)).toBe(0);
      expect(await all(store.list())).toMatchObject([{ key: "a", sizeBytes: 900_000 }]);
    }));

  test("a version stays as long as the bytes do, and no put has that of another", () =>
    withStore(async (store) => {
      const versions = new Set<string>();
      for (const content of ["first", "other", "other"]) {
        await store.put("a", text(content));
        const { version } = (await store.get("a"))!;
        expect(version).toMatch(/^[A-Za-z0-9-]+$/);
        expect((await store.get("a"))!.version).toBe(version);
        versions.add(version);
      }
      await store.delete("a");
      await store.put("a", text("first"));
      versions.add((await store.get("a"))!.version);
      expect(versions.size).toBe(4);
    }));

  test("of puts at the same time one is left, whole", () =>
    withStore(async (store) => {
      const contents = Array.from({ length: 5 }, (_, n) => Buffer.alloc(400_000 + n, n));
      await Promise.all(contents.map((content) => store.put("a/b", pieces(content))));
      const left = await contentOf(store, "a/b");
      expect(contents.some((content) => content.equals(left!))).toBe(true);
    }));

  describe("a put that fails leaves what was there", () => {
    const failing = async (store: BlobStore, put: () => Promise<unknown>, code: string) => {
      await store.put("kept", text("before"));
      await expect(put()).rejects.toMatchObject({ code });
      expect((await contentOf(store, "kept"))?.toString()).toBe("before");
      expect(await store.get("fresh")).toBeUndefined();
      expect(await keysOf(store.list())).toEqual(["kept"]);
    };

    for (const key of ["kept", "fresh"]) {
      test(`more bytes than allowed: document-too-large (${key})`, () =>
        withStore(async (store) => {
          const content = randomBytes(600_000);
          await failing(
            store,
            () => store.put(key, pieces(content), { maxBytes: 599_999 }),
            "document-too-large",
          );
          await store.put(key, pieces(content), { maxBytes: 600_000 });
          expect((await store.get(key))?.sizeBytes).toBe(600_000);
        }));

      test(`a source that fails: its own error (${key})`, () =>
        withStore(async (store) => {
          async function* broken() {
            yield randomBytes(500_000);
            throw new PlatenError("download-failed", "the source went away");
          }
          await failing(store, () => store.put(key, broken()), "download-failed");
        }));

      test(`an abort while the source is silent: canceled (${key})`, () =>
        withStore(async (store) => {
          const abort = new AbortController();
          async function* silent() {
            yield randomBytes(500_000);
            abort.abort();
            await new Promise(() => {});
          }
          await failing(store, () => store.put(key, silent(), { signal: abort.signal }), "canceled");
        }));
    }

    test("an abort before it began", () =>
      withStore((store) =>
        failing(store, () => store.put("fresh", text("x"), { signal: AbortSignal.abort() }), "canceled"),
      ));

    test("an endless source is asked for no more than the limit and what is on its way", () =>
      withStore(async (store) => {
        let given = 0;
        let closed = false;
        async function* endless() {
          try {
            for (;;) {
              given += 100_000;
              yield new Uint8Array(100_000);
            }
          } finally {
            closed = true;
          }
        }
        await failing(
          store,
          () => store.put("fresh", endless(), { maxBytes: 1_000_000 }),
          "document-too-large",
        );
        expect(given).toBe(1_100_000);
        expect(closed).toBe(true);
      }));
  });

  test("deleting a key deletes all under it, on whole segments, and nothing else", () =>
    withStore(async (store) => {
      const keys = ["a", "a/b", "a/b/c", "a/b/c.d", "a/bb", "ab", "a.b", "a-b", "b/a"];
      for (const key of keys) await store.put(key, text(key));
      expect(await keysOf(store.list())).toEqual([...keys].sort());
      await store.delete("a/b");
      expect(await keysOf(store.list())).toEqual(["a", "a-b", "a.b", "a/bb", "ab", "b/a"]);
      expect(await store.get("a/b/c")).toBeUndefined();
      await store.delete("a");
      expect(await keysOf(store.list())).toEqual(["a-b", "a.b", "ab", "b/a"]);
      await store.delete("missing/key");
      await store.delete("b");
      await store.put("a/b/c", text("again"));
      expect(await keysOf(store.list())).toEqual(["a-b", "a.b", "a/b/c", "ab"]);
      expect((await contentOf(store, "a/b/c"))?.toString()).toBe("again");
    }));

  test("lists keys, sizes and times, of all or under a prefix", () =>
    withStore(async (store) => {
      expect(await all(store.list())).toEqual([]);
      expect(await all(store.list("a"))).toEqual([]);
      const before = Date.now();
      for (const key of ["a", "a/b", "ab", "a/b/c.jpg"]) await store.put(key, text(key));
      expect(await keysOf(store.list("a"))).toEqual(["a", "a/b", "a/b/c.jpg"]);
      expect(await keysOf(store.list("a/b"))).toEqual(["a/b", "a/b/c.jpg"]);
      const [info] = await all(store.list("a/b/c.jpg"));
      expect(info).toMatchObject({ key: "a/b/c.jpg", sizeBytes: 9 });
      // File systems keep coarser time than the clock, which is why this is not exact.
      expect(info!.modifiedMs).toBeGreaterThan(before - 2000);
      expect(info!.modifiedMs).toBeLessThan(Date.now() + 2000);
    }));

  test("a blob that goes while it is read is no short blob", () =>
    withStore(async (store) => {
      await store.put("a", pieces(randomBytes(3_000_000)));
      const deleted = (await store.get("a"))!;
      await store.delete("a");
      await expect(all(deleted.bytes())).rejects.toMatchObject({ code: "unavailable" });
      await store.put("b", pieces(randomBytes(300_000)));
      const replaced = (await store.get("b"))!;
      await store.put("b", pieces(randomBytes(300_000)));
      await expect(all(replaced.bytes())).rejects.toMatchObject({ code: "unavailable" });
    }));

  test("deleting while others put under the same key leaves whole blobs or none", () =>
    withStore(async (store) => {
      const content = randomBytes(300_000);
      const puts = Array.from({ length: 8 }, (_, n) =>
        store.put(`session/page-${n % 4}`, pieces(content)).catch((error: unknown) => {
          expect(error).toMatchObject({ code: "unavailable" });
        }),
      );
      for (let n = 0; n < 4; n++) await store.delete("session");
      await Promise.all(puts);
      for await (const { key } of store.list()) {
        expect(Buffer.compare((await contentOf(store, key))!, content)).toBe(0);
      }
      await store.delete("session");
      expect(await all(store.list())).toEqual([]);
    }));

  test("odd keys are taken, wrong ones refused by every operation", () =>
    withStore(async (store, name) => {
      const odd = [
        "-",
        "_",
        "...",
        ".hidden",
        "a..b",
        "A/0/_.-",
        "CON",
        `${"s".repeat(200)}/x`,
        "t/".repeat(100) + "t",
      ];
      for (const key of odd) await store.put(key, text(key));
      for (const key of odd) expect((await contentOf(store, key))?.toString()).toBe(key);
      expect(await keysOf(store.list())).toEqual([...odd].sort());
      const wrong = [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        "a\\b",
        "a~",
        "a b",
        "ä",
        "a\0b",
      ];
      for (const key of [...wrong, "s".repeat(201), "t/".repeat(200) + "t", `../${name}/x`, "/etc/passwd"]) {
        const refused = { code: "invalid-argument" };
        await expect(store.put(key, text("x"))).rejects.toMatchObject(refused);
        await expect(store.get(key)).rejects.toMatchObject(refused);
        await expect(store.delete(key)).rejects.toMatchObject(refused);
        await expect(all(store.list(key))).rejects.toMatchObject(refused);
      }
    }));

  test("stores do not share keys, keep what they have, and their names are checked", async () => {
    const [one, two] = [newName(), newName()];
    const write = async () => {
      await using stores = await open();
      await (await stores.store(one)).put("a", text("one"));
      expect(await (await stores.store(two)).get("a")).toBeUndefined();
      for (const name of ["", ".", "..", "a/b", "a.b", "~temp", "n".repeat(65)]) {
        await expect(stores.store(name)).rejects.toMatchObject({ code: "invalid-argument" });
      }
    };
    await write();
    await using stores = await open();
    expect((await contentOf(await stores.store(one), "a"))?.toString()).toBe("one");
  });
}
