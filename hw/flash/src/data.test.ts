/** Skipped, with a word, for who may not give files away, and where mkfs.ext4 or debugfs is missing. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { packBundle } from "@platen/firmware-node/updates";
import {
  appManifest,
  keySetBytes,
  makeTree,
  releaseKey,
} from "../../../firmware-node/src/updates/testing/bundles.ts";
import { boardName } from "./bundle.ts";
import { requirePrograms, run } from "./command.ts";
import { makeData } from "./data.ts";
import { hashFile } from "./steps.ts";

const isRoot = process.getuid?.() === 0;
const hasPrograms = await requirePrograms(["mkfs.ext4", "debugfs"]).then(
  () => true,
  () => false,
);
if (!isRoot || !hasPrograms) process.stderr.write("data: skipped; it needs root, mkfs.ext4 and debugfs\n");

test.skipIf(!isRoot || !hasPrograms)(
  "a data partition is the same bytes whenever it is made, and a file system without a fault",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "platen-data-"));
    try {
      const [bundle, keySet] = [join(folder, "bundle"), join(folder, "keys")];
      await makeTree(join(folder, "app"), { "main.js": "", "lib/a.txt": "a", "lib/link": "-> a.txt" });
      const manifest = appManifest("1.0.0", { board: boardName });
      await packBundle({ folder: join(folder, "app"), manifest, privateKey: releaseKey, file: bundle });
      await writeFile(keySet, keySetBytes);
      const epochS = 1_700_000_000;
      const hashes: string[] = [];
      for (const name of ["one", "other"]) {
        const tree = join(folder, name);
        await mkdir(tree);
        const image = `${tree}.ext4`;
        await makeData(image, tree, { bundle, keySet, epochS });
        // Throws where it finds a fault.
        await run("e2fsck", ["-fn", image]);
        const inodes = await run("debugfs", ["-R", "stat <12>", image]);
        expect(inodes).toContain("ctime: 0x6553f100:00000000");
        hashes.push(await hashFile(image));
        // Times of files count seconds.
        await delay(1100 - (Date.now() % 1000));
      }
      expect(hashes[0]).toBe(hashes[1]);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  60_000,
);
