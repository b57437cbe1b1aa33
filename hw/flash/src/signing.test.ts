import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keyIdOf, openKeySet } from "@platen/proto/bundle";
import { keysFolder, ownKeys } from "./signing.ts";

let folder: string;
let keys: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "platen-signing-"));
  keys = join(folder, "keys");
});
afterEach(() => rm(folder, { recursive: true }));

const contents = async () =>
  Promise.all(
    (await readdir(keys)).sort().map(async (name) => [name, await readFile(join(keys, name), "utf8")]),
  );

test("a machine's keys are made once, for nobody else's eyes, and are what their set says", async () => {
  const made = await ownKeys(keys);
  const before = await contents();
  const again = await ownKeys(keys);
  expect(keyIdOf(again.releaseKey)).toBe(keyIdOf(made.releaseKey));
  expect(await contents()).toEqual(before);
  expect((await stat(keys)).mode & 0o777).toBe(0o700);
  expect((await stat(join(keys, "root.pem"))).mode & 0o777).toBe(0o600);
  expect((await stat(join(keys, "release.pem"))).mode & 0o777).toBe(0o600);
  const set = openKeySet(await readFile(made.keySet));
  expect(set.release.map(({ id }) => id)).toEqual([keyIdOf(made.releaseKey)]);
});

test.each(["keys", "release.pem"])(
  "where only %s is missing nothing is written over the others",
  async (name) => {
    await ownKeys(keys);
    await rm(join(keys, name));
    const before = await contents();
    await expect(ownKeys(keys)).rejects.toThrow(`but not ${name}`);
    expect(await contents()).toEqual(before);
  },
);

test("a root key that is kept elsewhere is not needed", async () => {
  const made = await ownKeys(keys);
  await rm(join(keys, "root.pem"));
  expect(keyIdOf((await ownKeys(keys)).releaseKey)).toBe(keyIdOf(made.releaseKey));
});

test("the keys do not lie in the cache, unless an earlier build left them there", async () => {
  expect(await keysFolder(folder)).toMatch(/platen-flash\/keys$/);
  expect((await keysFolder(folder)).startsWith(folder)).toBe(false);
  await ownKeys(keys);
  expect(await keysFolder(folder)).toBe(keys);
});
