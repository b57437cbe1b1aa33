import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Disk, disk as realDisk, packBundle, verifyBundle } from "@platen/firmware-node/updates";
import { expect, test } from "vitest";
import { keySet, makeTree, releaseKey } from "../../../../firmware-node/src/updates/testing/bundles.ts";
import { rootFile, slotFiles, type SlotPlace, writeSlot } from "./slot.ts";
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
  readonly place: SlotPlace;
  /** Packs a system, writes it, and resolves to what is in the slot's folder then. */
  write(files: Readonly<Record<string, string | Uint8Array>>, to?: SlotPlace, disk?: Disk): Promise<string[]>;
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
    async write(files, to = place, disk = realDisk) {
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
      await writeSlot(to, file, head, { disk });
      return (await readdir(place.boot)).sort();
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

/** The power goes at the start of the `cutAt`th step: nothing is written from then on. */
function cutDisk(cutAt: number): Disk {
  let steps = 0;
  const step =
    <A extends unknown[]>(work: (...args: A) => Promise<void>) =>
    async (...args: A): Promise<void> => {
      if (steps++ >= cutAt) throw new Error("the power is gone");
      await work(...args);
    };
  return {
    makeFolder: step(realDisk.makeFolder),
    writeFile: step(realDisk.writeFile),
    link: step(realDisk.link),
    rename: step(realDisk.rename),
    unlink: step(realDisk.unlink),
    removeTree: step(realDisk.removeTree),
    syncFolder: step(realDisk.syncFolder),
    freeBytes: realDisk.freeBytes,
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
  const { boot } = slot.place;
  // What comes later takes the place of what came before.
  const worn = { ...slot.place, root: join(boot, slotFiles.firstRoot) };
  await expect(slot.write(parts, worn)).rejects.toThrow(/does not hold what was written/);
  expect(await readdir(boot)).not.toContain(slotFiles.kernel);
});

test("whenever the power goes while a slot is written, it has no kernel, or all of it is there", async () => {
  const outcomes = new Set<string>();
  for (let [cutAt, isDone] = [0, false]; !isDone; cutAt++) {
    await using slot = await bench();
    const { boot, root: partition } = slot.place;
    isDone = await slot.write(parts, slot.place, cutDisk(cutAt)).then(
      () => true,
      () => false,
    );
    const kernel = await readFile(join(boot, slotFiles.kernel), "utf8").catch(() => "none");
    const rootNow = await readFile(partition);
    if (kernel === "a kernel") {
      expect((await readdir(boot)).sort()).toEqual(Object.values(slotFiles).sort());
      expect(rootNow.subarray(0, root.length).equals(root)).toBe(true);
    } else if (kernel !== "none") {
      // Nothing has begun: the system before is all there.
      expect(rootNow.equals(Buffer.alloc(rootBytes, 7))).toBe(true);
    }
    outcomes.add(kernel);
  }
  expect([...outcomes]).toEqual(["the kernel before", "none", "a kernel"]);
});
