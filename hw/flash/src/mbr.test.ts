import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cardBytes, diskSignature, partitions, partitionUuid } from "./card.ts";
import { decodeMbr, encodeMbr } from "./mbr.ts";

test("a partition table is read as it was written", () => {
  const { signature, partitions: read } = decodeMbr(encodeMbr(diskSignature, partitions));
  expect(signature).toBe(diskSignature);
  expect(read).toEqual(partitions);
});

test("partitions do not overlap, begin at erase blocks, and fit onto the card", () => {
  let end = 512;
  for (const { startBytes, sizeBytes } of partitions) {
    expect(startBytes).toBeGreaterThanOrEqual(end);
    expect(startBytes % (4 * 1024 * 1024)).toBe(0);
    end = startBytes + sizeBytes;
  }
  expect(end).toBe(cardBytes);
});

test("util-linux reads the same table", () => {
  const folder = mkdtempSync(join(tmpdir(), "platen-mbr-"));
  try {
    const image = join(folder, "image");
    writeFileSync(image, encodeMbr(diskSignature, partitions));
    truncateSync(image, cardBytes);
    const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` };
    const json: unknown = JSON.parse(execFileSync("sfdisk", ["--json", image], { env, encoding: "utf8" }));
    const { partitiontable } = json as {
      partitiontable: {
        label: string;
        id: string;
        partitions: { start: number; size: number; type: string }[];
      };
    };
    expect(partitiontable.label).toBe("dos");
    expect(partitiontable.id).toBe(`0x${diskSignature.toString(16)}`);
    expect(
      partitiontable.partitions.map(({ start, size, type }) => [
        start * 512,
        size * 512,
        Number.parseInt(type, 16),
      ]),
    ).toEqual(partitions.map(({ startBytes, sizeBytes, type }) => [startBytes, sizeBytes, type]));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what is no table is refused", () => {
  expect(() => decodeMbr(new Uint8Array(512))).toThrow("no partition table");
  expect(() => decodeMbr(new Uint8Array(3))).toThrow("no partition table");
});

test("the board finds its partitions by the names that the table gives them", async () => {
  const { readFile } = await import("node:fs/promises");
  const fstab = await readFile(join(import.meta.dirname, "../board/root/etc/fstab"), "utf8");
  expect(fstab).toContain(`PARTUUID=${partitionUuid(1)} /boot/firmware`);
  expect(fstab).toContain(`PARTUUID=${partitionUuid(4)} /data`);
  const init = await readFile(join(import.meta.dirname, "../board/init"), "utf8");
  const onDisk = encodeMbr(diskSignature, partitions).toString("latin1", 440, 444);
  expect(init).toContain(`= ${onDisk} ]`);
});
