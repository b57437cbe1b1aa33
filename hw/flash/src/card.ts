/**
 * What lies where on the card:
 *
 *     -  state   which slot starts, in two copies (system/boot-state.ts)
 *     1  boot    FAT32  what the board's firmware and U-Boot read: kernels, first roots, settings; and platen.toml
 *     2  root a  squashfs, read-only
 *     3  root b  the same, for the system's next version
 *     4  data    ext4: the app's slots, its settings and state; grows to the end of the card at the first start
 */
import { createReadStream } from "node:fs";
import { open, stat, truncate } from "node:fs/promises";
import { PlatenError } from "@platen/proto";
import { encodeMbr, type Partition } from "./mbr.ts";

const mib = 1024 * 1024;

/** "PLT" and a version of this layout; fstab names partitions after it. */
export const diskSignature = 0x504c544e;
export const partitionUuid = (number: number): string =>
  `${diskSignature.toString(16)}-${String(number).padStart(2, "0")}`;

/** Erase blocks of cards are 4 MiB at most: no partition shares one with another. */
const alignBytes = 4 * mib;
/** Of the two copies of the state, a sector each, from the card's start. Known to board/boot.cmd as 0x2000 and 0x4000 sectors. */
export const stateBytes = [alignBytes, 2 * alignBytes] as const;
export const bootBytes = 128 * mib;
export const rootSlotBytes = 320 * mib;
/** Before it grows. */
export const dataBytes = 192 * mib;

const linux = 0x83;
const sizes = [
  { type: 0x0c, bootable: true, sizeBytes: bootBytes },
  { type: linux, bootable: false, sizeBytes: rootSlotBytes },
  { type: linux, bootable: false, sizeBytes: rootSlotBytes },
  { type: linux, bootable: false, sizeBytes: dataBytes },
] as const;

export const partitions: readonly Partition[] = sizes.map((partition, index) => ({
  ...partition,
  startBytes: sizes.slice(0, index).reduce((sum, { sizeBytes }) => sum + sizeBytes, 3 * alignBytes),
}));

/** A card must have so much. */
export const cardBytes = partitions[3]!.startBytes + dataBytes;

/** The partitions' contents, files. Root b is left empty. */
export interface CardFiles {
  readonly boot: string;
  readonly rootA: string;
  readonly data: string;
}

/** Puts an image of a card together. What is nothing but zeros takes no space. Throws `configuration` when something is too large. */
export async function writeImage(image: string, files: CardFiles, signal?: AbortSignal): Promise<void> {
  await using out = await open(image, "w");
  await out.write(encodeMbr(diskSignature, partitions));
  for (const [index, file] of [files.boot, files.rootA, undefined, files.data].entries()) {
    if (file === undefined) continue;
    const { startBytes, sizeBytes } = partitions[index]!;
    const { size } = await stat(file);
    if (size > sizeBytes) {
      throw new PlatenError(
        "configuration",
        `${file} has ${Math.ceil(size / mib)} MiB: partition ${index + 1} has ${sizeBytes / mib}`,
      );
    }
    let position = startBytes;
    const zeros = Buffer.alloc(mib);
    for await (const chunk of createReadStream(file, { highWaterMark: mib, ...(signal && { signal }) })) {
      const bytes = chunk as Buffer;
      if (!bytes.equals(zeros.subarray(0, bytes.length))) await out.write(bytes, 0, bytes.length, position);
      position += bytes.length;
    }
  }
  await out.sync();
  await truncate(image, cardBytes);
}
