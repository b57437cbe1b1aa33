/** Bundles of the app, of its runtime and of the system, as boards take them for updates. */
import type { KeyObject } from "node:crypto";
import { link, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { packBundle } from "@platen/firmware-node/updates";
import type { ManifestInput } from "@platen/proto/bundle";
import type { Runtime } from "./runtime.ts";
import { rootFile, slotFiles } from "./system/slot.ts";

/** What boards of this image are, as bundles name it. */
export const boardName = "linux-arm64-glibc";
/** What systems are for: cards with the partitions of card.ts, in boards of one family. */
export const systemBoardName = "raspberrypi-arm64";

export interface AppFacts {
  readonly version: string;
  readonly channel: string;
  readonly commit: string;
  /** The runtime's version, and the hash of its bundle's payload. */
  readonly runtime: { readonly version: string; readonly sha256: string };
}

/** Packs the app in `folder` into `file`. */
export async function packApp(
  file: string,
  folder: string,
  facts: AppFacts,
  privateKey: KeyObject,
): Promise<void> {
  const { version, channel, commit, runtime } = facts;
  const manifest: ManifestInput = {
    kind: "app",
    name: "platen-printer",
    version,
    board: boardName,
    channels: [channel],
    main: "main.js",
    commit,
    runtime,
  };
  await packBundle({ folder, manifest, privateKey, file });
}

/** Packs a runtime into `file`. */
export async function packRuntime(
  file: string,
  runtime: Runtime,
  channel: string,
  privateKey: KeyObject,
): Promise<void> {
  const manifest: ManifestInput = {
    kind: "runtime",
    name: "node",
    version: runtime.version,
    board: boardName,
    channels: [channel],
    main: "bin/node",
    commit: "",
  };
  // Node changes seldom, first builds are many: level 15 takes 5 times as long for 0.9 % less, level 19 11 times for 12 %.
  await packBundle({ folder: runtime.folder, manifest, privateKey, file, level: 12 });
}

/** What a system is made of. */
export interface SystemParts {
  /** The root, a squashfs. */
  readonly root: string;
  /** A folder: what `makeKernel` made. */
  readonly kernel: string;
}

/** Packs a system into `file`. */
export async function packSystem(
  file: string,
  { root, kernel }: SystemParts,
  { version, channel, runtime }: Omit<AppFacts, "commit">,
  privateKey: KeyObject,
): Promise<void> {
  const folder = `${file}.tree`;
  await mkdir(folder);
  for (const name of await readdir(kernel)) await link(join(kernel, name), join(folder, name));
  await link(root, join(folder, rootFile));
  const manifest: ManifestInput = {
    kind: "system",
    name: "platen-system",
    version,
    board: systemBoardName,
    channels: [channel],
    main: slotFiles.kernel,
    // The same system for as long as nothing in it changes, whatever is committed meanwhile.
    commit: "",
    runtime,
  };
  // Nearly all of it is the root, which is compressed.
  await packBundle({ folder, manifest, privateKey, file, level: 3 });
  await rm(folder, { recursive: true });
}
