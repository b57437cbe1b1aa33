import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blobContract } from "../../ports/blob.contract.ts";
import { openFolderBlobStores } from "./folder-blob.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "platen-blob-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe("the folder blob stores keep the contract", () => {
  blobContract(() => openFolderBlobStores(join(dir, "contract")));

  test("and no test left a temp file", async () => {
    expect(await readdir(join(dir, "contract", "~temp"))).toEqual([]);
  });
});

async function* bytes(content: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(content);
}

describe("the folder", () => {
  test("temp files that a crashed process left are swept when it is opened, those under way are not", async () => {
    const root = join(dir, "swept");
    await mkdir(join(root, "~temp", "old-trash"), { recursive: true });
    await writeFile(join(root, "~temp", "old-trash", "a~"), "");
    await writeFile(join(root, "~temp", "old"), "half");
    await writeFile(join(root, "~temp", "young"), "half");
    const longAgo = new Date(Date.now() - 2 * 3_600_000);
    for (const name of ["old", "old-trash"]) await utimes(join(root, "~temp", name), longAgo, longAgo);
    await using _stores = await openFolderBlobStores(root);
    expect(await readdir(join(root, "~temp"))).toEqual(["young"]);
  });

  test("no empty folder is left of what was deleted", async () => {
    const root = join(dir, "pruned");
    await using stores = await openFolderBlobStores(root);
    const store = await stores.store("s");
    await store.put("a/b/c/d", bytes("x"));
    await store.put("a/e", bytes("x"));
    await store.delete("a/b/c/d");
    expect(await readdir(join(root, "s", "a"))).toEqual(["e~"]);
    await store.delete("a/e");
    expect(await readdir(join(root, "s"))).toEqual([]);
  });

  test("one that cannot be made is a matter of configuration", async () => {
    await writeFile(join(dir, "file"), "");
    await expect(openFolderBlobStores(join(dir, "file"))).rejects.toMatchObject({ code: "configuration" });
  });
});
