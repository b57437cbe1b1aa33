/** The root file system's base: Debian's packages, each of the version and with the contents that `debian.lock` names. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PlatenError } from "@platen/proto";
import { run } from "./command.ts";
import type { Mirrors } from "./mirrors.ts";

const suite = "bookworm";

/** A package as it is locked. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Of the .deb. */
  readonly sha256: string;
}

export interface DebianOptions {
  readonly mirrors: Mirrors;
  /** Names beside the essential packages. */
  readonly packages: readonly string[];
  /** dpkg's path-exclude; a "!" in front makes it path-include. */
  readonly excluded: readonly string[];
  /** What must come; undefined takes what is newest. */
  readonly lock: readonly DebianPackage[] | undefined;
  /** Of files that Debian's tools make, seconds since 1970. */
  readonly epochS: number;
  readonly signal?: AbortSignal | undefined;
  readonly onLine?: ((line: string) => void) | undefined;
}

/** Lines of a list; "#" begins a comment. */
export const linesOf = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.replace(/^#.*$/, "").trim())
    .filter(Boolean);

/** `NAME VERSION ARCHITECTURE SHA256` a line, by name. */
export const formatLock = (packages: readonly DebianPackage[]): string =>
  `# Debian packages of the image. Made by: platen-flash build --update-lock\n${packages
    .map(({ name, version, architecture, sha256 }) => `${name} ${version} ${architecture} ${sha256}\n`)
    .join("")}`;

/** Throws `configuration` for a line that is none. */
export const parseLock = (text: string): DebianPackage[] =>
  linesOf(text).map((line) => {
    const [name, version, architecture, sha256, ...rest] = line.split(/\s+/);
    if (!name || !version || !architecture || !/^[0-9a-f]{64}$/.test(sha256 ?? "") || rest.length > 0) {
      throw new PlatenError("configuration", `debian.lock: this is no locked package: ${line}`);
    }
    return { name, version, architecture, sha256: sha256! };
  });

/** The fields of Debian's control format that are asked for, a paragraph each. */
export function paragraphsOf(text: string, fields: readonly string[]): Map<string, string>[] {
  return text
    .split(/\n\n+/)
    .map(
      (paragraph) =>
        new Map(
          paragraph.split("\n").flatMap((line): [string, string][] => {
            const at = line.indexOf(": ");
            const field = line.slice(0, at);
            return at > 0 && fields.includes(field) ? [[field, line.slice(at + 2)]] : [];
          }),
        ),
    )
    .filter((paragraph) => paragraph.size > 0);
}

/** What differs between what came and what is locked, a line each. */
export function differences(came: readonly DebianPackage[], locked: readonly DebianPackage[]): string[] {
  const describe = (list: readonly DebianPackage[]) =>
    new Map(list.map(({ name, version, sha256 }) => [name, { version, sha256 }]));
  const ours = describe(locked);
  const theirs = describe(came);
  const lines: string[] = [];
  for (const name of [...new Set([...ours.keys(), ...theirs.keys()])].sort()) {
    const [was, is] = [ours.get(name), theirs.get(name)];
    if (!was) lines.push(`${name} ${is!.version}: is not locked`);
    else if (!is) lines.push(`${name} ${was.version}: did not come`);
    else if (was.version !== is.version) lines.push(`${name}: ${was.version} is locked, ${is.version} came`);
    else if (was.sha256 !== is.sha256) lines.push(`${name} ${was.version}: has other contents than locked`);
  }
  return lines;
}

/** Locked versions go before newer ones as long as the mirror has them (apt_preferences(5): above 1000, even downwards). */
const pins = (lock: readonly DebianPackage[]): string =>
  lock
    .map(({ name, version }) => `Package: ${name}\nPin: version ${version}\nPin-Priority: 1001\n`)
    .join("\n");

/**
 * Makes `tar`, the base as a tar archive, the same bytes for the same packages. Resolves to the packages in it. Throws
 * `configuration` when they are not the locked ones.
 */
export async function makeBase(tar: string, options: DebianOptions): Promise<DebianPackage[]> {
  const { mirrors, packages, excluded, lock, epochS, signal, onLine } = options;
  const work = await mkdtemp(join(tmpdir(), "platen-debian-"));
  try {
    const preferences = join(work, "preferences");
    const shown = join(work, "packages");
    await writeFile(preferences, pins(lock ?? []));
    const paths = excluded.map((path) =>
      path.startsWith("!") ? `--dpkgopt=path-include=${path.slice(1)}` : `--dpkgopt=path-exclude=${path}`,
    );
    const source = (mirror: string, from: string) => `deb ${mirror} ${from} main non-free-firmware`;
    await run(
      "mmdebstrap",
      [
        "--arch=arm64",
        "--variant=minbase",
        "--mode=root",
        // Wants a program of its own to find out what requirePrograms and requireEmulator have found out.
        "--skip=check/qemu",
        `--include=${packages.join(",")}`,
        '--aptopt=Apt::Install-Recommends "false"',
        ...(mirrors.past ? ['--aptopt=Acquire::Check-Valid-Until "false"'] : []),
        ...paths,
        `--setup-hook=cp ${preferences} "$1"/etc/apt/preferences.d/lock`,
        // It is slow beyond measure under emulation; what it would make is not used.
        '--essential-hook=chroot "$1" dpkg-divert --local --rename --add /usr/sbin/update-initramfs',
        '--essential-hook=ln -s /bin/true "$1"/usr/sbin/update-initramfs',
        `--customize-hook=APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-cache show --no-all-versions $(dpkg-query --admindir="$1"/var/lib/dpkg -W -f '\${Package}:\${Architecture}=\${Version} ') > ${shown}`,
        '--customize-hook=rm "$1"/etc/apt/preferences.d/lock',
        suite,
        tar,
        source(mirrors.archive, suite),
        source(mirrors.archive, `${suite}-updates`),
        source(mirrors.security, `${suite}-security`),
      ],
      { signal, onLine, env: { SOURCE_DATE_EPOCH: String(epochS) } },
    );
    const came = paragraphsOf(await readFile(shown, "utf8"), ["Package", "Version", "Architecture", "SHA256"])
      .map((fields) => ({
        name: fields.get("Package")!,
        version: fields.get("Version")!,
        architecture: fields.get("Architecture")!,
        sha256: fields.get("SHA256")!,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const wrong = lock ? differences(came, lock) : [];
    if (wrong.length > 0) {
      throw new PlatenError(
        "configuration",
        `the packages are not those of debian.lock; build with --snapshot to take the locked ones from snapshot.debian.org, ` +
          `or with --update-lock to take these:\n${wrong.join("\n")}`,
      );
    }
    return came;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Throws `configuration` unless programs for arm64 run on this machine, and may be run in another root. */
export async function requireEmulator(): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new PlatenError(
      "configuration",
      "making an image needs root: its files are root's. Run it with sudo",
    );
  }
  if (process.arch === "arm64") return;
  const registered = await readFile("/proc/sys/fs/binfmt_misc/qemu-aarch64", "utf8").catch(() => "");
  if (!registered.startsWith("enabled") || !/^flags:.*F/m.test(registered)) {
    throw new PlatenError(
      "configuration",
      "this machine does not run arm64 programs yet: apt-get install qemu-user-static binfmt-support, and see that " +
        "/proc/sys/fs/binfmt_misc is mounted (mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc)",
    );
  }
}
