import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readFromBoot, textInBoot } from "./fat.ts";
import { encodeMbr } from "./mbr.ts";
import { provision } from "./provision.ts";

const toml =
  '[printer]\nid = "office"\n[backend]\naddress = "10.0.0.1:6310"\nallow_plaintext = true\n[engine]\npictures = true\n';
const mib = 1024 * 1024;

let folder: string;
const path = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "platen-provision-"));
  await writeFile(path("platen.toml"), toml);
  await writeFile(path("wrong.toml"), toml.replace("pictures = true", ""));
  // A card with a boot partition of 40 MiB, 1 MiB in.
  const partition = { type: 0x0c, bootable: true, startBytes: mib, sizeBytes: 40 * mib };
  await writeFile(path("card.img"), encodeMbr(1, [partition]));
  await truncate(path("card.img"), 42 * mib);
  execFileSync(
    "/usr/sbin/mkfs.vfat",
    ["-F", "32", "-s", "1", "--offset", String(mib / 512), path("card.img"), String(40 * 1024)],
    { stdio: "ignore" },
  );
});
afterAll(() => rm(folder, { recursive: true }));

test("settings go into the boot partition of an image without mounting it, and replace those that are there", async () => {
  expect(await textInBoot(path("card.img"), "platen.toml")).toBeUndefined();
  await provision(path("card.img"), path("platen.toml"));
  expect(await textInBoot(path("card.img"), "platen.toml")).toBe(toml);
  await writeFile(path("other.toml"), toml.replace("office", "hall"));
  await provision(path("card.img"), path("other.toml"));
  await readFromBoot(path("card.img"), "platen.toml", path("read.toml"));
  expect(await readFile(path("read.toml"), "utf8")).toContain("hall");
});

test("settings go into a mounted boot partition, and into no other folder", async () => {
  await mkdir(path("mounted"));
  await expect(provision(path("mounted"), path("platen.toml"))).rejects.toThrow("is no boot partition");
  await writeFile(path("mounted/config.txt"), "");
  await provision(path("mounted"), path("platen.toml"));
  expect(await readFile(path("mounted/platen.toml"), "utf8")).toBe(toml);
});

test("wrong settings change nothing", async () => {
  const before = await readFile(path("card.img"));
  await expect(provision(path("card.img"), path("wrong.toml"))).rejects.toThrow(
    "engine: needs either port or pictures",
  );
  expect((await readFile(path("card.img"))).equals(before)).toBe(true);
});

test("settings that are not there are said to be missing, and what to begin with", async () => {
  await expect(provision(undefined, path("nothere.toml"))).rejects.toThrow(
    /^there is no \S+nothere\.toml: begin with a copy of .*platen\.toml\.example$/,
  );
});

test("what is no card is refused", async () => {
  await expect(provision(path("platen.toml"), path("platen.toml"))).rejects.toThrow("no partition table");
  await expect(provision(path("nothing"), path("platen.toml"))).rejects.toThrow(
    `there is no image, card or folder ${path("nothing")}`,
  );
});
