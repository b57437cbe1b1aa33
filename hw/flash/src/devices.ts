/** The disks of this machine, and which of them may be written to. */
import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PlatenError } from "@platen/proto";
import { z } from "zod";
import { run } from "./command.ts";

/** What `lsblk --json --bytes` says of a disk or of what is on it. */
interface Node {
  readonly name: string;
  readonly path: string;
  readonly type: string;
  readonly size: number;
  readonly rm: boolean;
  readonly hotplug: boolean;
  readonly ro: boolean;
  readonly tran: string | null;
  readonly model: string | null;
  readonly fstype: string | null;
  readonly mountpoints: readonly (string | null)[];
  readonly children?: readonly Node[] | undefined;
}

const nodeSchema: z.ZodType<Node> = z.object({
  name: z.string(),
  path: z.string(),
  type: z.string(),
  size: z.number(),
  rm: z.boolean(),
  hotplug: z.boolean(),
  ro: z.boolean(),
  tran: z.string().nullable(),
  model: z.string().nullable(),
  fstype: z.string().nullable(),
  mountpoints: z.array(z.string().nullable()),
  get children() {
    return z.array(nodeSchema).optional();
  },
});
const listSchema = z.object({ blockdevices: z.array(nodeSchema) });

export interface Disk {
  readonly path: string;
  readonly sizeBytes: number;
  /** For people; may be empty. */
  readonly model: string;
  /** How it is connected: "usb", "mmc"…; empty when the system does not say. */
  readonly transport: string;
  readonly removable: boolean;
  /** Why nothing may be written to it; empty: it may. */
  readonly refusals: readonly Refusal[];
}

/** `fixed` is the one that a person may overrule. */
export interface Refusal {
  readonly kind: "mounted" | "system" | "held" | "read-only" | "too-small" | "fixed";
  readonly message: string;
}

const all = (node: Node): Node[] => [node, ...(node.children ?? []).flatMap(all)];

/** Where the running system is, wherever it is mounted from. */
const systemMounts = new Set([
  "/",
  "/boot",
  "/boot/efi",
  "/boot/firmware",
  "/usr",
  "/var",
  "/home",
  "[SWAP]",
]);
/** What is part of something else that is in use, or may be. */
const holders = new Map([
  ["LVM2_member", "a volume of LVM"],
  ["crypto_LUKS", "encrypted"],
  ["linux_raid_member", "part of a RAID"],
  ["zfs_member", "part of a ZFS pool"],
  ["ceph_bluestore", "part of a Ceph cluster"],
]);

function refusalsOf(disk: Node, needBytes: number): Refusal[] {
  const refusals: Refusal[] = [];
  const refuse = (kind: Refusal["kind"], message: string) => refusals.push({ kind, message });
  const nodes = all(disk);
  for (const { path, fstype, mountpoints, type } of nodes) {
    for (const where of mountpoints) {
      if (where === null) continue;
      if (systemMounts.has(where))
        refuse("system", `${path} is ${where === "[SWAP]" ? "swap" : where} of this machine`);
      else refuse("mounted", `${path} is mounted at ${where}: unmount it first`);
    }
    const holder = holders.get(fstype ?? "");
    if (holder) refuse("held", `${path} is ${holder}`);
    else if (type !== "disk" && type !== "part" && type !== "loop")
      refuse("held", `${path} is of kind ${type}`);
  }
  if (disk.ro) refuse("read-only", `${disk.path} is write-protected`);
  if (disk.size < needBytes) {
    refuse("too-small", `${disk.path} has ${disk.size} bytes: the image has ${needBytes}`);
  }
  if (!isRemovable(disk)) refuse("fixed", `${disk.path} is not a removable disk`);
  return refusals;
}

/** Readers of cards that are built in say that they are fixed: what is behind them is a card all the same. */
const isRemovable = ({ name, rm, hotplug }: Node): boolean => rm || hotplug || /^mmcblk\d+$/.test(name);

/** The disks in what `lsblk` said, removable ones first. `needBytes` is the image's size; 0 when there is none yet. */
export function disksOf(lsblk: unknown, needBytes: number): Disk[] {
  const parsed = listSchema.safeParse(lsblk);
  if (!parsed.success) {
    throw new PlatenError("internal", `lsblk says what is not understood: ${parsed.error.message}`);
  }
  return parsed.data.blockdevices
    .filter(({ type, size }) => (type === "disk" || type === "loop") && size > 0)
    .map((node) => ({
      path: node.path,
      sizeBytes: node.size,
      model: (node.model ?? "").trim(),
      transport: node.tran ?? (node.name.startsWith("mmcblk") ? "mmc" : ""),
      removable: isRemovable(node),
      refusals: refusalsOf(node, needBytes),
    }))
    .sort((a, b) => Number(b.removable) - Number(a.removable) || (a.path < b.path ? -1 : 1));
}

const columns = "NAME,PATH,TYPE,SIZE,RM,HOTPLUG,RO,TRAN,MODEL,FSTYPE,MOUNTPOINTS";

/** The disks of this machine. */
export async function listDisks(needBytes = 0, signal?: AbortSignal): Promise<Disk[]> {
  return disksOf(
    JSON.parse(await run("lsblk", ["--json", "--bytes", "--output", columns], { signal })),
    needBytes,
  );
}

/**
 * The disk at `path`, if it may be written to. Throws `invalid-argument` with every reason why not. `fixedToo` lets disks pass
 * that are not removable; nothing lets pass what is in use.
 */
export function requireWritable(disks: readonly Disk[], path: string, fixedToo = false): Disk {
  const disk = disks.find((each) => each.path === path);
  if (!disk) {
    throw new PlatenError(
      "invalid-argument",
      `${path} is no disk of this machine; "platen-flash devices" lists them`,
    );
  }
  const reasons = disk.refusals.filter(({ kind }) => !(fixedToo && kind === "fixed"));
  if (reasons.length > 0) {
    throw new PlatenError(
      "invalid-argument",
      `nothing is written:\n${reasons.map(({ message }) => message).join("\n")}`,
    );
  }
  return disk;
}

export interface Target {
  /** Absolute, and through no symbolic link: as `listDisks` names disks. */
  readonly path: string;
  /** Whether it is a disk, or a part of one: told by what it is, by whatever name it was called. */
  readonly isDevice: boolean;
}

/** What an image is to be written to: a disk, or a file, which need not be there yet. Throws `invalid-argument` for anything else. */
export async function targetOf(to: string): Promise<Target> {
  const refuse = (why: string) => new PlatenError("invalid-argument", why);
  const path = await realpath(to).catch(async (error: NodeJS.ErrnoException) => {
    const folder = await realpath(dirname(to)).catch(() => undefined);
    if (error.code !== "ENOENT" || folder === undefined)
      throw refuse(`cannot write to ${to}: ${error.message}`);
    return join(folder, basename(to));
  });
  const info = await stat(path).catch(() => undefined);
  if (info?.isBlockDevice()) return { path, isDevice: true };
  if (path.startsWith("/dev/") || (info && !info.isFile())) {
    throw refuse(`${to} is neither a disk nor a file; "platen-flash devices" lists disks`);
  }
  return { path, isDevice: false };
}
