/** Writes a system into the slot that does not run: its root into a partition, its kernel into a folder of the boot partition. */
import { execFile } from "node:child_process";
import { createHash, type Hash } from "node:crypto";
import { open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import {
  type Disk,
  disk as realDisk,
  diskError,
  readFrom,
  replaceFile,
  unpackBundle,
} from "@platen/firmware-node/updates";
import { PlatenError } from "@platen/proto";
import type { BundleHead } from "@platen/proto/bundle";

/** What a slot has on the boot partition, below `a/` or `b/`: board/boot.cmd starts the kernel with the others. */
export const slotFiles = {
  kernel: "vmlinuz",
  firstRoot: "initrd.img",
  /** `arguments=` of the kernel, for U-Boot's `env import -t`. */
  settings: "boot.env",
  /** Says what is in the slot: the head of the bundle that it came from. */
  head: "system",
} as const;
/** In a bundle, what goes to the slot's partition. */
export const rootFile = "root.squashfs";

/** Of a system's bundle, all files. */
const files: readonly string[] = [slotFiles.firstRoot, rootFile, slotFiles.settings, slotFiles.kernel];

export interface SlotPlace {
  /** The partition, a device or a file. */
  readonly root: string;
  readonly rootBytes: number;
  /** The folder on the boot partition, which can be written to. */
  readonly boot: string;
}

/** The kernel's name while the slot is not whole: U-Boot does not start it then. */
const part = (path: string): string => `${path}.part`;

const invalid = (what: string): PlatenError =>
  new PlatenError("update-invalid", `the system's bundle ${what}`);

/** What was written where, by its name in the bundle, to hold what is read back against. */
type Written = Map<string, { readonly path: string; readonly sizeBytes: number; readonly hash: Hash }>;

/** Puts each file of a bundle in its place, and lets nothing else in. */
function slotDisk({ root, rootBytes, boot }: SlotPlace, written: Written, disk: Disk): Disk {
  const no = (path: string) =>
    Promise.reject(invalid(`holds ${basename(path)}, which is no part of a system`));
  return {
    ...disk,
    makeFolder: (path) => (path === boot ? disk.makeFolder(path) : no(path)),
    link: (_, path) => no(path),
    async writeFile(path, bytes, mode) {
      const name = basename(path);
      if (dirname(path) !== boot || !files.includes(name)) return no(path);
      const isRoot = name === rootFile;
      const to = isRoot ? root : name === slotFiles.kernel ? part(path) : path;
      const hash = createHash("sha256");
      let sizeBytes = 0;
      const counted = async function* () {
        for await (const chunk of bytes) {
          sizeBytes += chunk.length;
          if (isRoot && sizeBytes > rootBytes) throw invalid("has a root that is larger than the slot");
          hash.update(chunk);
          yield chunk;
        }
      };
      await (isRoot ? overwrite(to, counted()) : disk.writeFile(to, counted(), mode));
      written.set(name, { path: to, sizeBytes, hash });
    },
  };
}

async function overwrite(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    await using file = await open(path, "r+");
    for await (const chunk of bytes) await file.writeFile(chunk);
    await file.sync();
  } catch (error) {
    throw diskError(error);
  }
}

/** What comes from now on comes from the card: dd(1) lets the kernel forget what it knows of a file. */
const forget = (path: string) => promisify(execFile)("dd", [`if=${path}`, "iflag=nocache", "count=0"]);

/** Throws `internal` where the card does not hold what it was given. */
async function readBack(written: Written, signal?: AbortSignal): Promise<void> {
  for (const { path, sizeBytes, hash } of written.values()) {
    await forget(path);
    await using file = await open(path);
    const read = createHash("sha256");
    let left = sizeBytes;
    for await (const chunk of readFrom(file, 0, signal)) {
      read.update(chunk.subarray(0, left));
      left -= Math.min(left, chunk.length);
      if (left === 0) break;
    }
    if (left > 0 || read.digest("hex") !== hash.digest("hex")) {
      throw new PlatenError("internal", "the card does not hold what was written to it: it is worn out");
    }
  }
}

/**
 * Writes a system, of a bundle that `verifyBundle` passed. When it
 * resolves the slot can be started, and all of it has been read back. Before that it has no kernel, whatever happens. Throws
 * `update-invalid`, `disk-full`, `internal`.
 */
export async function writeSlot(
  place: SlotPlace,
  bundle: string,
  head: BundleHead,
  { signal, disk = realDisk }: { readonly signal?: AbortSignal | undefined; readonly disk?: Disk } = {},
): Promise<void> {
  const { boot } = place;
  const kernel = join(boot, slotFiles.kernel);
  // First, and on the card: what U-Boot finds from now on is no system.
  await disk.removeTree(kernel);
  await disk.syncFolder(dirname(boot));
  await disk.removeTree(boot);
  await disk.syncFolder(dirname(boot));
  const written: Written = new Map();
  await unpackBundle(bundle, head, boot, { disk: slotDisk(place, written, disk), ...(signal && { signal }) });
  if (written.size !== files.length) throw invalid("lacks a part of a system");
  await readBack(written, signal);
  await replaceFile(disk, join(boot, slotFiles.head), head.bytes);
  await disk.rename(part(kernel), kernel);
  await disk.syncFolder(boot);
}
