/** The root file system: Debian's base with our services on top, as a squashfs that nothing on the board can change. */
import { chmod, cp, mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./command.ts";
import { evenModes } from "./modes.ts";

/** The printer's user and group; no other number is used by Debian's packages. */
export const platenId = 900;

/** Services that start with the board, below the target that wants them. */
const wanted = {
  "local-fs-pre.target.wants": ["platen-grow.service"],
  "local-fs.target.wants": ["platen-folders.service"],
  "sysinit.target.wants": ["systemd-timesyncd.service", "systemd-resolved.service", "platen-trial.timer"],
  "multi-user.target.wants": [
    "systemd-networkd.service",
    "platen-provision.service",
    "platen-settle.service",
    "platen-system.path",
    "platen.service",
  ],
} as const;

/** Services of Debian's that have nothing to do on a read-only root, or nobody to talk to. */
const masked = [
  "apt-daily.timer",
  "apt-daily-upgrade.timer",
  "dpkg-db-backup.timer",
  "e2scrub_all.timer",
  "e2scrub_reap.service",
  "getty@tty1.service",
  "ldconfig.service",
  "systemd-firstboot.service",
  "systemd-hwdb-update.service",
  "systemd-journal-catalog-update.service",
  "systemd-machine-id-commit.service",
  "systemd-sysusers.service",
  "systemd-update-done.service",
  "systemd-update-utmp.service",
  "systemd-update-utmp-runlevel.service",
  "wpa_supplicant.service",
];

/** What differs from build to build, or belongs to no one board. */
const forgotten = [
  "boot/System.map*",
  "etc/machine-id",
  "etc/hostname",
  "etc/resolv.conf",
  "etc/.resolv.conf.systemd-resolved.bak",
  "etc/mtab",
  "usr/lib/raspi-firmware",
  "usr/lib/u-boot",
  "usr/lib/linux-image-*",
  "usr/share/initramfs-tools",
  "usr/lib/klibc",
];

export interface RootOptions {
  /** Debian's base, a tar archive. */
  readonly base: string;
  /** Files of ours, laid over it: board/root. */
  readonly overlay: string;
  /** More folders and files, by where they go. */
  readonly files: Readonly<Record<string, string>>;
  readonly epochS: number;
  readonly signal?: AbortSignal | undefined;
}

/** Unpacks Debian's base into `folder`. */
export const unpackBase = (base: string, folder: string, signal?: AbortSignal): Promise<string> =>
  run("tar", ["-C", folder, "-xpf", base, "--numeric-owner", "--xattrs", "--xattrs-include=*"], { signal });

/** Makes the squashfs `to`; `tree` is a folder to work in. The same inputs make the same bytes. */
export async function makeRoot(to: string, tree: string, options: RootOptions): Promise<void> {
  const { base, overlay, files, epochS, signal } = options;
  await unpackBase(base, tree, signal);
  for (const pattern of forgotten) await run("sh", ["-c", `rm -rf "$0"/${pattern}`, tree], { signal });
  // Nothing of it outlives a start: /var is memory.
  for (const name of await readdir(join(tree, "var"))) await rm(join(tree, "var", name), { recursive: true });
  await rm(join(tree, "boot"), { recursive: true });
  await mkdir(join(tree, "boot/firmware"), { recursive: true });
  await mkdir(join(tree, "data"));

  await layOver(tree, overlay, files);
  await writeFile(join(tree, "etc/machine-id"), "");
  await writeFile(join(tree, "etc/hostname"), "platen\n");
  await symlink("/run/systemd/resolve/resolv.conf", join(tree, "etc/resolv.conf"));
  await symlink("../proc/self/mounts", join(tree, "etc/mtab"));
  await addUser(tree);
  await enable(tree);
  // systemd sets a clock that is behind this to it: see tmpfiles and timesyncd for the time after the first start.
  await writeFile(join(tree, "usr/lib/clock-epoch"), "");
  await utimes(join(tree, "usr/lib/clock-epoch"), epochS, epochS);
  await run("chown", [
    "-R",
    "-h",
    "0:0",
    ...["usr/lib/platen", "etc/fstab", "etc/systemd"].map((path) => join(tree, path)),
  ]);

  const time = String(epochS);
  const same = ["-mkfs-time", time, "-all-time", time, "-no-exports", "-noappend", "-no-progress", "-quiet"];
  await run("mksquashfs", [tree, to, "-comp", "zstd", "-Xcompression-level", "9", "-b", "256K", ...same], {
    signal,
    // The variable that others take the time from is refused beside the options.
    env: {},
  });
}

async function layOver(tree: string, overlay: string, files: RootOptions["files"]): Promise<void> {
  const ours = `${tree}.ours`;
  await cp(overlay, ours, { recursive: true });
  for (const [path, from] of Object.entries(files)) {
    await cp(from, join(ours, path), { recursive: true, verbatimSymlinks: true });
  }
  await evenModes(ours);
  // Folders of Debian's keep their own modes.
  await cp(ours, tree, { recursive: true, verbatimSymlinks: true });
  await rm(ours, { recursive: true });
}

async function addUser(tree: string): Promise<void> {
  const append = async (path: string, line: string) => {
    const file = join(tree, path);
    await writeFile(file, `${await readFile(file, "utf8")}${line}\n`);
  };
  await append(
    "etc/passwd",
    `platen:x:${platenId}:${platenId}:Platen printer:/data/platen:/usr/sbin/nologin`,
  );
  await append("etc/group", `platen:x:${platenId}:`);
  // No password, and none for root: nobody can log in.
  await append("etc/shadow", "platen:!*:0::::::");
  await chmod(join(tree, "etc/shadow"), 0o640);
  for (const backup of ["passwd-", "group-", "shadow-", "gshadow-"])
    await rm(join(tree, "etc", backup), { force: true });
}

async function enable(tree: string): Promise<void> {
  const units = join(tree, "etc/systemd/system");
  await mkdir(units, { recursive: true });
  for (const [target, services] of Object.entries(wanted)) {
    await mkdir(join(units, target), { recursive: true });
    for (const service of services) {
      await rm(join(units, target, service), { force: true });
      await symlink(`/usr/lib/systemd/system/${service}`, join(units, target, service));
    }
  }
  for (const service of masked) {
    await rm(join(units, service), { force: true, recursive: true });
    await symlink("/dev/null", join(units, service));
  }
  await rm(join(units, "default.target"), { force: true });
  await symlink("/usr/lib/systemd/system/multi-user.target", join(units, "default.target"));
}
