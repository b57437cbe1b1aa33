import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packBundle, verifyBundle } from "@platen/firmware-node/updates";
import { expect, test } from "vitest";
import { keySet, makeTree, releaseKey } from "../../../../firmware-node/src/updates/testing/bundles.ts";
import { rootFile, slotFiles, writeSlot } from "./slot.ts";
import { systemManifest } from "./testing.ts";

const root = randomBytes(600_000);
const parts = {
  [slotFiles.kernel]: "a kernel",
  [slotFiles.firstRoot]: "a first root",
  [slotFiles.settings]: "arguments=quiet\n",
  [rootFile]: root,
};
const rootBytes = 1 << 20;

interface Bench extends AsyncDisposable {
  readonly place: { readonly root: string; readonly rootBytes: number; readonly boot: string };
  /** Packs a system, writes it, and resolves to what is in the slot's folder then. */
  write(files: Readonly<Record<string, string | Uint8Array>>): Promise<string[]>;
}

/** A slot that holds another system, and may be written to. */
async function bench(): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), "platen-slot-"));
  const place = { root: join(folder, "root"), rootBytes, boot: join(folder, "boot/b") };
  await writeFile(place.root, Buffer.alloc(rootBytes, 7));
  await makeTree(place.boot, { [slotFiles.kernel]: "the kernel before", other: "left over" });
  let count = 0;
  return {
    place,
    async write(files) {
      const tree = join(folder, `tree-${count}`);
      const file = join(folder, `system-${count++}.bundle`);
      await makeTree(tree, files);
      await packBundle({
        folder: tree,
        manifest: systemManifest("1.0.0"),
        privateKey: releaseKey,
        file,
        level: 1,
      });
      const head = await verifyBundle(file, keySet);
      const headBytes = (await readFile(file)).subarray(0, head.payloadStart);
      await writeSlot(place, file, head, headBytes);
      return (await readdir(place.boot)).sort();
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

test("a system is written: its root to the partition, all else to the folder, and the head of its bundle", async () => {
  await using slot = await bench();
  expect(await slot.write(parts)).toEqual(Object.values(slotFiles).sort());
  const { place } = slot;
  const written = await readFile(place.root);
  expect(written.length).toBe(rootBytes);
  expect(written.subarray(0, root.length).equals(root)).toBe(true);
  expect(await readFile(join(place.boot, slotFiles.kernel), "utf8")).toBe("a kernel");
  expect((await readFile(join(place.boot, slotFiles.head))).toString("latin1", 0, 8)).toBe("PLATENB1");
});

test.each([
  [
    "a file that is no part of a system",
    { ...parts, "config.txt": "kernel=evil" },
    /config\.txt, which is no part/,
  ],
  ["a folder", { ...parts, "more/x": "" }, /more, which is no part/],
  ["a link", { ...parts, more: `-> ${slotFiles.kernel}` }, /more, which is no part/],
  ["no kernel", { [rootFile]: root }, /lacks a part/],
  ["a root that is larger than the slot", { ...parts, [rootFile]: new Uint8Array(rootBytes + 1) }, /larger/],
])("a bundle that holds %s leaves the slot without a kernel", async (_, files, message) => {
  await using slot = await bench();
  await expect(slot.write(files)).rejects.toThrow(message);
  const left = await readdir(slot.place.boot).catch(() => []);
  expect(left).not.toContain(slotFiles.kernel);
  expect(await slot.write(parts)).toContain(slotFiles.kernel);
});

test("a card that does not keep what it is given is found out, and what is on it does not start", async () => {
  await using slot = await bench();
  // As large as what is written to it, but for the last byte.
  await rm(slot.place.root);
  await writeFile(slot.place.root, "");
  const written = slot.write(parts);
  await using file = await open(slot.place.root);
  for (const digest = createHash("sha256").update(root).digest("hex"); ; ) {
    const { size } = await file.stat();
    if (size === root.length) break;
    expect(digest).toHaveLength(64);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await truncate(slot.place.root, root.length - 1);
  await expect(written).rejects.toThrow(/does not hold what was written/);
  expect(await readdir(slot.place.boot)).not.toContain(slotFiles.kernel);
});

test("whenever the power goes while a slot is written, it has no kernel, or all of it is there", async () => {
  await using slot = await bench();
  await mkdir(slot.place.boot, { recursive: true });
  // The kernel is the last to get its name: seen at every turn of the event loop until then.
  let isDone = false;
  const seen = new Set<string>();
  const watching = (async () => {
    while (!isDone) {
      const names = await readdir(slot.place.boot).catch(() => []);
      seen.add(names.sort().join(" "));
    }
  })();
  await slot.write(parts);
  isDone = true;
  await watching;
  const whole = Object.values(slotFiles).sort().join(" ");
  const before = `other ${slotFiles.kernel}`;
  for (const names of seen) {
    const hasKernel = names.split(" ").includes(slotFiles.kernel);
    expect(hasKernel ? [whole, before] : [names]).toContain(names);
  }
});
