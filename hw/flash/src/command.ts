/** Programs of the system: that they are there, running them, and what they say when they fail. */
import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { PlatenError } from "@platen/proto";

/** Where administrators' programs lie, which the path of others leaves out. */
const folders = [...new Set([...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"])].filter(
  Boolean,
);
const env = { ...process.env, PATH: folders.join(":"), LC_ALL: "C.UTF-8", TZ: "UTC" };

/** How much of what a program says is kept, characters. */
const tailMax = 4000;

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  readonly cwd?: string | undefined;
  /** Variables beside the process's own. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Called with each line that the program writes to standard error. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** Runs a program to its end. Resolves to its standard output. Throws `internal` with the end of what it said when it fails. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    ...(options.signal && { signal: options.signal }),
  });
  let output = "";
  let tail = "";
  let line = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    tail = (tail + text).slice(-tailMax);
    const lines = (line + text).split("\n");
    line = lines.pop()!;
    for (const each of lines) options.onLine?.(each);
  });
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => resolve(status ?? signal ?? "?"));
  });
  if (code === 0) return output;
  const said = (tail || output.slice(-tailMax)).trim();
  throw new PlatenError("internal", `${command} failed (${code})${said ? `:\n${said}` : ""}`);
}

/** A program by its name, or a file by its path. */
async function exists(command: string): Promise<boolean> {
  const isFile = command.startsWith("/");
  const paths = isFile ? [command] : folders.map((folder) => join(folder, command));
  for (const path of paths) {
    const found = await access(path, isFile ? constants.R_OK : constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

/** U-Boot as it is for QEMU's machine: a file, and no program of this one. */
export const emulatedUBoot = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";

/** Debian's package of each program that is used anywhere here. */
const packageOf = {
  mmdebstrap: "mmdebstrap",
  "qemu-aarch64-static": "qemu-user-static",
  mksquashfs: "squashfs-tools",
  unsquashfs: "squashfs-tools",
  "mkfs.vfat": "dosfstools",
  mcopy: "mtools",
  mdir: "mtools",
  mtype: "mtools",
  "mkfs.ext4": "e2fsprogs",
  debugfs: "e2fsprogs",
  tar: "tar",
  zstd: "zstd",
  xz: "xz-utils",
  npm: "npm",
  lsblk: "util-linux",
  "qemu-system-aarch64": "qemu-system-arm",
  "qemu-system-arm": "qemu-system-arm",
  [emulatedUBoot]: "u-boot-qemu",
  socat: "socat",
  make: "make",
  "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
} as const;

export type Program = keyof typeof packageOf;

/** Throws `configuration`, with the command that installs them, when programs are missing. */
export async function requirePrograms(programs: readonly Program[]): Promise<void> {
  const missing = new Set<string>();
  for (const program of programs) if (!(await exists(program))) missing.add(packageOf[program]);
  if (missing.size === 0) return;
  const names = [...missing].sort().join(" ");
  throw new PlatenError(
    "configuration",
    `programs are missing; on Debian: apt-get install --no-install-recommends ${names}`,
  );
}
