import { mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { disksOf, requireWritable, targetOf } from "./devices.ts";

const base = {
  rm: false,
  hotplug: false,
  ro: false,
  tran: null,
  model: null,
  fstype: null,
  mountpoints: [null],
};
const part = (name: string, more: object = {}) => ({
  ...base,
  name,
  path: `/dev/${name}`,
  type: "part",
  size: 1e9,
  ...more,
});
const disk = (name: string, more: object = {}) => ({
  ...base,
  name,
  path: `/dev/${name}`,
  type: "disk",
  size: 8e9,
  ...more,
});

const lsblk = {
  blockdevices: [
    disk("nvme0n1", {
      tran: "nvme",
      model: "Fast disk ",
      children: [
        part("nvme0n1p1", { mountpoints: ["/boot/efi"] }),
        part("nvme0n1p2", { mountpoints: ["/"] }),
      ],
    }),
    disk("sda", { tran: "sata", model: "Spare disk", children: [part("sda1", { fstype: "ext4" })] }),
    disk("sdb", {
      rm: true,
      hotplug: true,
      tran: "usb",
      model: "Card reader",
      children: [part("sdb1", { fstype: "vfat" })],
    }),
    disk("sdc", {
      rm: true,
      hotplug: true,
      tran: "usb",
      children: [part("sdc1", { mountpoints: ["/media/me/PHOTOS"] })],
    }),
    disk("sdd", { hotplug: true, tran: "usb", children: [part("sdd1", { fstype: "crypto_LUKS" })] }),
    disk("sde", { rm: true, tran: "usb", size: 1e8 }),
    disk("sdf", { rm: true, tran: "usb", ro: true }),
    disk("sdg", { rm: true, tran: "usb", children: [part("sdg1", { mountpoints: ["[SWAP]"] })] }),
    disk("sdh", { rm: true, children: [part("sdh1", { children: [{ ...part("vg-home"), type: "lvm" }] })] }),
    disk("mmcblk0", { children: [part("mmcblk0p1")] }),
    disk("sdz", { rm: true, size: 0 }),
    { ...disk("sr0", { rm: true }), type: "rom" },
  ],
};
const disks = disksOf(lsblk, 1e9);
const kinds = (path: string) => disks.find((each) => each.path === path)?.refusals.map(({ kind }) => kind);

test("cards in readers may be written to, also in a reader that is built in", () => {
  expect(kinds("/dev/sdb")).toEqual([]);
  expect(kinds("/dev/mmcblk0")).toEqual([]);
  expect(requireWritable(disks, "/dev/sdb").model).toBe("Card reader");
});

test("disks of the system, mounted ones, parts of others, write-protected and small ones are refused, each with its reason", () => {
  expect(kinds("/dev/nvme0n1")).toEqual(["system", "system", "fixed"]);
  expect(kinds("/dev/sdc")).toEqual(["mounted"]);
  expect(kinds("/dev/sdd")).toEqual(["held"]);
  expect(kinds("/dev/sde")).toEqual(["too-small"]);
  expect(kinds("/dev/sdf")).toEqual(["read-only"]);
  expect(kinds("/dev/sdg")).toEqual(["system"]);
  expect(kinds("/dev/sdh")).toEqual(["held"]);
  expect(() => requireWritable(disks, "/dev/sdc")).toThrow("/dev/sdc1 is mounted at /media/me/PHOTOS");
});

test("a disk that is not removable passes only when that is asked for, and never one in use", () => {
  expect(() => requireWritable(disks, "/dev/sda")).toThrow("not a removable disk");
  expect(requireWritable(disks, "/dev/sda", true).path).toBe("/dev/sda");
  expect(() => requireWritable(disks, "/dev/nvme0n1", true)).toThrow("is / of this machine");
});

test("removable disks come first; empty readers and drives of discs are left out", () => {
  const paths = disks.map(({ path }) => path);
  expect(paths[0]).toBe("/dev/mmcblk0");
  expect(paths.slice(-2)).toEqual(["/dev/nvme0n1", "/dev/sda"]);
  expect(paths).not.toContain("/dev/sdz");
  expect(paths).not.toContain("/dev/sr0");
});

test("what is no disk is refused: a partition, a folder, nothing", () => {
  for (const path of ["/dev/sdb1", "/tmp", "/dev/nothing"]) {
    expect(() => requireWritable(disks, path)).toThrow("is no disk of this machine");
  }
});

test("what is written to is told by what it is, whatever it is called", async () => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "platen-target-")));
  try {
    await writeFile(join(folder, "card.img"), "");
    await symlink(join(folder, "card.img"), join(folder, "image"));
    expect(await targetOf(join(folder, "image"))).toEqual({
      path: join(folder, "card.img"),
      isDevice: false,
    });
    const later = join(folder, "later.img");
    expect(await targetOf(later)).toEqual({ path: later, isDevice: false });

    await symlink("/dev/null", join(folder, "null"));
    await symlink("/dev", join(folder, "devices"));
    const others = ["null", "devices/null", "devices/not-there"].map((name) => join(folder, name));
    for (const to of [...others, "//dev/not-there", folder]) {
      await expect(targetOf(to), to).rejects.toThrow("neither a disk nor a file");
    }
    await expect(targetOf(join(folder, "no/folder"))).rejects.toThrow("cannot write");
  } finally {
    await rm(folder, { recursive: true });
  }
});
