/** The boot partition: what the board's firmware loads, U-Boot, and of each system the kernel and its first root. */
import { cp, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import { PlatenError } from "@platen/proto";
import { bootBytes } from "./card.ts";
import { run } from "./command.ts";
import { cpio, type CpioEntry } from "./cpio.ts";
import { slotFiles } from "./system/slot.ts";
import { bootScript, forUBoot } from "./u-boot.ts";

/** Volume label: what a PC calls the partition. */
const bootLabel = "PLATEN";
/** FAT's serial number: the same for every image, so that the same files make the same bytes. */
const bootSerial = "504c5442";

/** What the kernel needs before it has a root: disks and watchdogs of boards and of the emulated machine, and the root's file system. */
const modules = [
  "virtio_pci",
  "virtio_mmio",
  "virtio_blk",
  "mmc_block",
  "sdhci_iproc",
  "bcm2835",
  "bcm2835_dma",
  "uas",
  "usb_storage",
  "sd_mod",
  "squashfs",
  "bcm2835_wdt",
  "i6300esb",
];

const compress = promisify(zstdCompress);

/** Files of modules below lib/modules/VERSION, each after those that it needs. What the kernel has built in is left out. */
export function moduleOrder(wanted: readonly string[], dependencies: string): string[] {
  const nameOf = (path: string) => basename(path, ".ko").replaceAll("-", "_");
  const needs = new Map<string, string[]>();
  for (const line of dependencies.split("\n")) {
    const [path, rest] = line.split(":");
    if (path && rest !== undefined) needs.set(path, rest.trim().split(/\s+/).filter(Boolean));
  }
  const pathOf = new Map([...needs.keys()].map((path) => [nameOf(path), path]));
  const order = new Set<string>();
  const add = (path: string): void => {
    if (order.has(path)) return;
    for (const need of needs.get(path) ?? []) add(need);
    order.add(path);
  };
  for (const name of wanted) {
    const path = pathOf.get(name);
    if (path) add(path);
  }
  return [...order];
}

/** The kernel's first root, compressed: busybox, a few modules and `init`. `root` is the unpacked root file system. */
export async function firstRoot(root: string, init: string): Promise<Buffer> {
  const [version] = await readdir(join(root, "lib/modules"));
  if (!version) throw new PlatenError("internal", "the root file system has no kernel modules");
  const folder = join(root, "lib/modules", version);
  const order = moduleOrder(modules, await readFile(join(folder, "modules.dep"), "utf8"));
  const entries: CpioEntry[] = ["bin", "dev", "modules", "proc", "root", "sys"].map((path) => ({
    path,
    kind: "directory",
    mode: 0o755,
  }));
  const file = (path: string, mode: number, data: Uint8Array) =>
    entries.push({ path, kind: "file", mode, data });
  file("bin/busybox", 0o755, await readFile(join(root, "bin/busybox")));
  file("init", 0o755, Buffer.from(init));
  for (const path of order) file(`modules/${basename(path)}`, 0o644, await readFile(join(folder, path)));
  file("modules/order", 0o644, Buffer.from(order.map((path) => `${basename(path)}\n`).join("")));
  return compress(cpio(entries), { params: { [constants.ZSTD_c_compressionLevel]: 19 } });
}

/** A damaged data partition is repaired as far as it can be: nobody is there to be asked. */
const kernelSettings =
  "console=tty1 ro quiet loglevel=4 panic=10 net.ifnames=0 systemd.getty_auto=no fsck.repair=yes";

/** What a slot has on the boot partition, into `folder`. `root` is the unpacked root file system, `init` the first program. */
export async function makeKernel(folder: string, root: string, init: string): Promise<void> {
  await cp(join(root, "boot", `vmlinuz-${await kernelVersion(root)}`), join(folder, slotFiles.kernel));
  await writeFile(join(folder, slotFiles.firstRoot), await firstRoot(root, init));
  await writeFile(join(folder, slotFiles.settings), `arguments=${kernelSettings}\n`);
}

async function kernelVersion(root: string): Promise<string> {
  const kernels = (await readdir(join(root, "boot"))).filter((name) => name.startsWith("vmlinuz-"));
  if (kernels.length !== 1)
    throw new PlatenError("internal", "the root file system has no kernel, or several");
  return kernels[0]!.slice("vmlinuz-".length);
}

/**
 * U-Boot hands on the device tree that it gets from the firmware, which has put in what only the firmware knows (memory, the
 * card's DMA window on a Pi 4, addresses on the network): so it is the boot partition's, and not a slot's.
 */
const config = `# Read by the board's own firmware. What the printer is to do is set in platen.toml.
arm_64bit=1
enable_uart=1
upstream_kernel=1
# It picks one of the systems in a/ and b/: boot.scr.
kernel=u-boot.bin
`;

export interface BootOptions {
  /** The root file system, unpacked. */
  readonly root: string;
  /** U-Boot's script, board/boot.cmd. */
  readonly script: string;
  /** Of the first slot: what `makeKernel` made, and the head of the bundle that it is the same as. */
  readonly kernel: string;
  readonly head: Uint8Array;
  /** More files, by name in the partition. */
  readonly files: Readonly<Record<string, string>>;
  readonly epochS: number;
  readonly signal?: AbortSignal | undefined;
}

/** Makes the boot partition's FAT as the file `to`. The same inputs make the same bytes. */
export async function makeBoot(to: string, options: BootOptions): Promise<void> {
  const { root, script, kernel, head, files, epochS, signal } = options;
  const work = await mkdtemp(join(tmpdir(), "platen-boot-"));
  try {
    await cp(kernel, join(work, "a"), { recursive: true });
    await writeFile(join(work, "a", slotFiles.head), head);
    const trees = join(root, `usr/lib/linux-image-${await kernelVersion(root)}/broadcom`);
    for (const name of (await readdir(trees)).filter((each) => /^bcm(2711|2837)-rpi-.*\.dtb$/.test(each))) {
      await writeFile(join(work, name), forUBoot(await readFile(join(trees, name))));
    }
    const firmware = join(root, "usr/lib/raspi-firmware");
    for (const name of await readdir(firmware)) {
      // Builds for cameras, and for debugging.
      if (!/(_db|4db|_x|4x)\./.test(name)) await cp(join(firmware, name), join(work, name));
    }
    await cp(join(root, "usr/lib/u-boot/rpi_arm64/u-boot.bin"), join(work, "u-boot.bin"));
    await writeFile(join(work, "boot.scr"), bootScript(script));
    await writeFile(join(work, "config.txt"), config);
    for (const [name, text] of Object.entries(files)) await writeFile(join(work, name), text);
    await makeFat(to, work, epochS, signal);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** A FAT with all that is in `folder`, as the file `to`. */
export async function makeFat(
  to: string,
  folder: string,
  epochS: number,
  signal?: AbortSignal,
): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true }))
    await utimes(join(folder, entry), epochS, epochS);
  const blocks = String(bootBytes / 1024);
  await run("mkfs.vfat", ["-C", "-F", "32", "-n", bootLabel, "-i", bootSerial, "--invariant", to, blocks], {
    signal,
  });
  // One call for each, in order: the order of entries is that of the calls.
  for (const name of (await readdir(folder)).sort()) {
    const env = { MTOOLS_SKIP_CHECK: "1", SOURCE_DATE_EPOCH: String(epochS) };
    await run("mcopy", ["-s", "-p", "-m", "-i", to, join(folder, name), "::"], { signal, env });
  }
}
