import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { run } from "./cli.ts";
import { imageBytes, type WriteProgress, writeTo } from "./write.ts";

let folder: string;
/** Not a whole number of the pieces that are written. */
const contents = randomBytes(5 * 1024 * 1024 + 513);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "platen-write-"));
  await writeFile(join(folder, "card.img"), contents);
  await writeFile(join(folder, "card.img.zst"), zstdCompressSync(contents));
  execFileSync("xz", ["--keep", "-0", join(folder, "card.img")]);
});
afterAll(() => rm(folder, { recursive: true }));

test.each(["card.img", "card.img.zst", "card.img.xz"])(
  "%s arrives as it was, and progress goes up to its end",
  async (name) => {
    const image = join(folder, name);
    const to = join(folder, `to-${name}`);
    const totalBytes = await imageBytes(image);
    expect(totalBytes).toBe(contents.length);
    const seen: WriteProgress[] = [];
    await writeTo({ image, to, totalBytes, onProgress: (progress) => seen.push(progress) });
    expect((await readFile(to)).equals(contents)).toBe(true);
    expect(seen.at(-1)).toEqual({ phase: "verifying", doneBytes: totalBytes, totalBytes });
    const done = seen.filter(({ phase }) => phase === "writing").map(({ doneBytes }) => doneBytes);
    expect(done.at(-1)).toBe(totalBytes);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
  },
);

test.each(["zst", "xz"])("a damaged .%s is refused before anything is written", async (suffix) => {
  const image = join(folder, `cut.img.${suffix}`);
  await writeFile(image, await readFile(join(folder, `card.img.${suffix}`)));
  await truncate(image, 2_000_000);
  await expect(imageBytes(image)).rejects.toThrow("is damaged");
});

test.each([["write", "TO", "--dry-run"], ["emulate"]])(
  "an image that is not there is refused with what to do: %s",
  async (...command) => {
    const image = join(folder, "nothere.img.zst");
    const said = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const [name = "", ...rest] = command.map((word) => (word === "TO" ? join(folder, "card") : word));
    expect(await run([name, image, ...rest])).toBe(2);
    expect(said.mock.calls.join("")).toBe(
      `platen-flash: there is no image ${image}: build it first (sudo platen-flash build)\n`,
    );
    said.mockRestore();
  },
);

test("a card that does not keep what it is given is found out", async () => {
  const to = join(folder, "worn-out");
  const image = join(folder, "card.img");
  const totalBytes = contents.length;
  let handle: number | undefined;
  const onProgress = ({ phase, doneBytes }: WriteProgress): void => {
    if (phase !== "writing" || doneBytes < totalBytes) return;
    // One byte has changed between writing and reading.
    handle = openSync(to, "r+");
    execFileSync("dd", ["of=/proc/self/fd/3", "bs=1", "seek=4500000", "conv=notrunc", "status=none"], {
      input: Buffer.from([contents[4_500_000]! ^ 1]),
      stdio: ["pipe", "ignore", "inherit", handle],
    });
    closeSync(handle);
  };
  await expect(writeTo({ image, to, totalBytes, onProgress })).rejects.toThrow(
    "does not hold what was written",
  );
  expect(handle).toBeDefined();
});

test("Ctrl-C ends it between two pieces", async () => {
  const stop = new AbortController();
  const image = join(folder, "card.img");
  const writing = writeTo({
    image,
    to: join(folder, "stopped"),
    totalBytes: contents.length,
    onProgress: () => stop.abort(),
    signal: stop.signal,
  });
  await expect(writing).rejects.toThrow("abort");
});

/** A loop device is a real block device: O_EXCL, O_DIRECT. */
function loopDevice(file: string): string | undefined {
  try {
    const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` };
    return execFileSync("losetup", ["--find", "--show", file], {
      env,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined;
  }
}

test("a disk that is called by another name passes the same checks (skipped without loop devices)", async (context) => {
  const backing = join(folder, "fixed");
  await writeFile(backing, "");
  await truncate(backing, 16 * 1024 * 1024);
  const device = loopDevice(backing);
  if (!device) return context.skip("loop devices need root");
  try {
    const link = join(folder, "link");
    await symlink(device, link);
    // It is not removable.
    for (const to of [device, link, `/${device}`, `${folder}/../..${device}`]) {
      expect(await run(["write", join(folder, "card.img"), to, "--yes"]), to).toBe(2);
    }
  } finally {
    execFileSync("/usr/sbin/losetup", ["--detach", device]);
  }
  expect((await readFile(backing)).every((byte) => byte === 0)).toBe(true);
});

test("a block device gets the image and is read back past the cache (skipped without loop devices)", async (context) => {
  const backing = join(folder, "backing");
  await writeFile(backing, "");
  await truncate(backing, 16 * 1024 * 1024);
  const device = loopDevice(backing);
  if (!device) return context.skip("loop devices need root");
  try {
    await writeTo({ image: join(folder, "card.img"), to: device, totalBytes: contents.length });
  } finally {
    execFileSync("/usr/sbin/losetup", ["--detach", device]);
  }
  expect((await readFile(backing)).subarray(0, contents.length).equals(contents)).toBe(true);
});
