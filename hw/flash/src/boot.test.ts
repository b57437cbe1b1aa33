import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { moduleOrder } from "./boot.ts";
import { cpio } from "./cpio.ts";

test("a module comes after all that it needs, once, and what the kernel has built in is left out", () => {
  const dependencies = [
    "kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko",
    "kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko",
    "kernel/drivers/virtio/virtio.ko:",
    "kernel/drivers/block/virtio-blk.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko",
    "kernel/drivers/net/unwanted.ko:",
    "",
  ].join("\n");
  expect(moduleOrder(["virtio_pci", "virtio_blk", "built_in"], dependencies)).toEqual([
    "kernel/drivers/virtio/virtio.ko",
    "kernel/drivers/virtio/virtio_ring.ko",
    "kernel/drivers/virtio/virtio_pci.ko",
    "kernel/drivers/block/virtio-blk.ko",
  ]);
});

const hasCpio = spawnSync("cpio", ["--version"]).status === 0;

test.skipIf(!hasCpio)("cpio unpacks what was packed (skipped where there is no cpio)", () => {
  const folder = mkdtempSync(join(tmpdir(), "platen-cpio-"));
  try {
    const archive = cpio([
      { path: "bin", kind: "directory", mode: 0o755 },
      { path: "bin/odd", kind: "file", mode: 0o755, data: Buffer.from("seven b") },
      { path: "link", kind: "link", mode: 0o777, data: Buffer.from("bin/odd") },
      { path: "empty", kind: "file", mode: 0o644, data: new Uint8Array() },
    ]);
    execFileSync("cpio", ["--extract", "--make-directories", "--quiet"], { cwd: folder, input: archive });
    expect(readFileSync(join(folder, "link"), "utf8")).toBe("seven b");
    expect(readFileSync(join(folder, "empty")).length).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("records of an archive begin at multiples of four, and the trailer ends it", () => {
  const archive = cpio([{ path: "a", kind: "file", mode: 0o600, data: Buffer.from("xyz") }]);
  expect(archive.length % 4).toBe(0);
  expect(archive.toString("latin1", 0, 6)).toBe("070701");
  // 110 bytes of header and "a\0" make 112; three bytes of data make four.
  expect(archive.toString("latin1", 116, 122)).toBe("070701");
  expect(archive.toString("latin1")).toContain("TRAILER!!!");
});
