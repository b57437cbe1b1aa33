/** `platen-flash build`: from the repository to a card's image. */
import { chown, cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { headOf, verifyBundle } from "@platen/firmware-node/updates";
import { PlatenError } from "@platen/proto";
import { type KeySet, keyIdOf, openKeySet } from "@platen/proto/bundle";
import { buildApp, copyProtos, installPackages } from "./app.ts";
import { makeBoot, makeKernel } from "./boot.ts";
import { packApp, packRuntime, packSystem } from "./bundle.ts";
import { bundlePrograms } from "./bundler.ts";
import { writeImage } from "./card.ts";
import { requirePrograms, run } from "./command.ts";
import { makeData } from "./data.ts";
import { type DebianPackage, formatLock, linesOf, makeBase, parseLock, requireEmulator } from "./debian.ts";
import type { Mirrors } from "./mirrors.ts";
import { type NpmPackage, packagesOf, licenses } from "./packages.ts";
import { makeRoot, unpackBase } from "./root.ts";
import { fetchRuntime, type Runtime } from "./runtime.ts";
import { formatSbom } from "./sbom.ts";
import { givenKeys, keysFolder, ownKeys, type Signing } from "./signing.ts";
import { hashFile, hashOf, hashTree, type Steps } from "./steps.ts";

const here = join(import.meta.dirname, "..");
/** The repository. */
export const repository = join(here, "../..");
const board = join(here, "board");
const lockFile = join(board, "debian.lock");
const epochFile = join(board, "epoch");

export interface BuildOptions {
  readonly steps: Steps;
  /** Folder that the image comes to. */
  readonly out: string;
  readonly cache: string;
  /** Where Debian's packages come from. */
  readonly mirrors: Mirrors;
  readonly updateLock: boolean;
  /** Update channel of the bundle. */
  readonly channel: string;
  /** Files of keys; without them the machine's own sign. */
  readonly key: string | undefined;
  readonly keySet: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onLine?: ((line: string) => void) | undefined;
}

/** When the commit was made that is checked out, seconds since 1970: the time of the app. */
async function commitEpochS(signal?: AbortSignal): Promise<number> {
  return Number((await run("git", ["-C", repository, "log", "-1", "--format=%ct"], { signal })).trim());
}

/** The system's time, seconds since 1970: it stays while apps come and go, so that their commits leave the system's bytes alone. */
export async function systemEpochS(): Promise<number> {
  const [line = ""] = linesOf(await readFile(epochFile, "utf8"));
  const epochMs = Date.parse(line);
  if (!(epochMs > 0)) throw new PlatenError("configuration", `${epochFile} holds no time: ${line}`);
  return epochMs / 1000;
}

async function moveEpochOn(): Promise<void> {
  const comments = (await readFile(epochFile, "utf8")).split("\n").filter((line) => line.startsWith("#"));
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  await writeFile(epochFile, `${[...comments, now].join("\n")}\n`);
}

interface Base {
  readonly tar: string;
  readonly packages: readonly DebianPackage[];
}

async function base(options: BuildOptions): Promise<Base> {
  const { steps, mirrors, updateLock, signal, onLine } = options;
  const packages = linesOf(await readFile(join(board, "packages.txt"), "utf8"));
  const excluded = linesOf(await readFile(join(board, "excluded.txt"), "utf8"));
  const locked = await readFile(lockFile, "utf8").catch(() => "");
  const lock = updateLock ? undefined : parseLock(locked);
  // Its own: with the same packages it is the same base, whatever is laid over it.
  const epochS = 1_700_000_000;
  const make = async (to: string) => {
    const request = { mirrors, packages, excluded, lock, epochS, signal, onLine };
    const came = await makeBase(join(to, "base.tar"), request);
    await writeFile(join(to, "packages"), formatLock(came));
  };
  const inputs = (text: string) => ["1", ...packages, "--", ...excluded, "--", text];
  let folder: string;
  if (updateLock) {
    const fresh = await steps.step("base-new", [String(Date.now())], make);
    const text = await readFile(join(fresh, "packages"), "utf8");
    // Under the name by which the next build, from the new lock, looks for it.
    folder = await steps.step("base", inputs(text), (to) => cp(fresh, to, { recursive: true }));
    await rm(fresh, { recursive: true, force: true });
    await writeFile(lockFile, text);
    await moveEpochOn();
  } else folder = await steps.step("base", inputs(locked), make);
  return {
    tar: join(folder, "base.tar"),
    packages: parseLock(await readFile(join(folder, "packages"), "utf8")),
  };
}

/** What runs on the board outside of the app: it must work when the app does not. */
async function programs(folder: string): Promise<void> {
  const { modules, readers } = await bundlePrograms({
    root: repository,
    programs: {
      provision: join(here, "src/provision-main.ts"),
      system: join(here, "src/system-main.ts"),
      boot: join(repository, "firmware-node/src/updates/boot.ts"),
    },
    folder,
  });
  for (const from of readers) await copyProtos(from, join(folder, relative(repository, from)));
  await writeFile(join(folder, "package.json"), `${JSON.stringify({ type: "module", private: true })}\n`);
  await writeFile(join(folder, "LICENSES.txt"), await licenses(await packagesOf(repository, modules)));
}

interface Parts {
  /** Holds `bundle` (the app's), `app` (the same as a folder) and `packages.json`. */
  readonly app: string;
  readonly npm: readonly NpmPackage[];
  readonly runtime: Runtime;
  readonly runtimeBundle: string;
  /** The runtime as manifests name it: its version, and the hash of its bundle's payload. */
  readonly runtimeNeeded: { readonly version: string; readonly sha256: string };
  readonly signing: Signing;
  /** The key set that boards of this image trust. */
  readonly trusted: KeySet;
  /** Hash of all sources that go into programs. */
  readonly sources: string;
}

async function parts(options: BuildOptions): Promise<Parts> {
  const { steps, cache, channel, key, keySet, signal } = options;
  if ((key === undefined) !== (keySet === undefined)) {
    throw new PlatenError("invalid-argument", "--key and --key-set belong together");
  }
  const signing = key && keySet ? await givenKeys(key, keySet) : await ownKeys(await keysFolder(cache));
  const keyId = keyIdOf(signing.releaseKey);
  const installed = await installPackages(repository, steps, signal);
  const folders = ["proto/src", "hw/src", "hw/protocol", "firmware-node", "hw/flash/src"];
  const sources = hashOf(await Promise.all(folders.map((each) => hashTree(join(repository, each)))));
  const runtime = await fetchRuntime(installed.root, steps, signal);
  const commit = await commitOf(signal);

  const runtimeBundle = await steps.step(
    "runtime-bundle",
    ["3", runtime.version, runtime.integrity, keyId, channel],
    (to) => packRuntime(join(to, "bundle"), runtime, channel, signing.releaseKey),
  );
  const trusted = openKeySet(await readFile(signing.keySet));
  const { manifest } = await verifyBundle(join(runtimeBundle, "bundle"), trusted);
  const runtimeNeeded = { version: runtime.version, sha256: manifest.payload.sha256 };
  const app = await steps.step(
    "app",
    [installed.root, sources, runtimeBundle, commit, channel],
    async (to) => {
      const npm = await buildApp(repository, installed, join(to, "app"));
      const version = await firmwareVersion();
      const epochS = await commitEpochS(signal);
      const sbom = formatSbom({ name: "platen-printer", version, epochS, npm, debian: [] });
      await writeFile(join(to, "app/sbom.cdx.json"), sbom);
      await writeFile(join(to, "packages.json"), JSON.stringify(npm));
      await packApp(
        join(to, "bundle"),
        join(to, "app"),
        { version, channel, commit, runtime: runtimeNeeded },
        signing.releaseKey,
      );
    },
  );
  const npm = JSON.parse(await readFile(join(app, "packages.json"), "utf8")) as NpmPackage[];
  return { app, npm, runtime, runtimeBundle, runtimeNeeded, signing, trusted, sources };
}

const versionOf = async (workspace: string): Promise<string> =>
  (JSON.parse(await readFile(join(repository, workspace, "package.json"), "utf8")) as { version: string })
    .version;
const firmwareVersion = () => versionOf("firmware-node");
/** The system's is this workspace's. */
const systemVersion = () => versionOf("hw/flash");

const commitOf = async (signal?: AbortSignal): Promise<string> =>
  (await run("git", ["-C", repository, "rev-parse", "HEAD"], { signal })).trim();

/** A file comes to the output folder whole or not at all; holes stay holes. */
async function deliver(from: string, out: string, name: string, signal?: AbortSignal): Promise<string> {
  await mkdir(out, { recursive: true });
  const path = join(out, name);
  await run("cp", ["--sparse=always", "--reflink=auto", from, `${path}.part`], { signal });
  // Who called sudo is to provision and write it.
  const { SUDO_UID, SUDO_GID } = process.env;
  if (SUDO_UID && SUDO_GID) {
    for (const each of [out, `${path}.part`]) await chown(each, Number(SUDO_UID), Number(SUDO_GID));
  }
  await rename(`${path}.part`, path);
  return path;
}

async function deliverBundles(
  { app, runtime, runtimeBundle }: Parts,
  { out, signal }: BuildOptions,
): Promise<string[]> {
  const version = await firmwareVersion();
  return [
    await deliver(join(app, "bundle"), out, `platen-app-${version}-arm64.bundle`, signal),
    await deliver(
      join(runtimeBundle, "bundle"),
      out,
      `platen-runtime-${runtime.version}-arm64.bundle`,
      signal,
    ),
  ];
}

/** Builds the bundles of the app and of its runtime: needs nothing but npm. Resolves to their files. */
export async function buildBundle(options: BuildOptions): Promise<string[]> {
  await requirePrograms(["npm", "tar"]);
  return deliverBundles(await parts(options), options);
}

/** Builds the image, and what goes into it. Resolves to the files that came to `out`. */
export async function buildImage(options: BuildOptions): Promise<string[]> {
  const { steps, out, signal } = options;
  await requirePrograms([
    "mmdebstrap",
    "mksquashfs",
    "mkfs.vfat",
    "mcopy",
    "mkfs.ext4",
    "debugfs",
    "tar",
    "zstd",
    "npm",
  ]);
  await requireEmulator();
  const all = await parts(options);
  const debian = await base(options);
  const baseTar = await hashFile(debian.tar, signal);
  const epochS = await systemEpochS();
  const epoch = String(epochS);
  const textOf = (name: string) => readFile(join(here, name), "utf8");

  const system = await steps.step("programs", [all.sources], programs);
  const sbom = formatSbom({
    name: "platen-controller",
    version: await firmwareVersion(),
    epochS,
    npm: all.npm,
    debian: debian.packages,
    node: all.runtime,
  });
  const overlay = await hashTree(join(board, "root"));
  const rootInputs = [
    baseTar,
    overlay,
    await hashTree(system),
    all.runtime.folder,
    await hashFile(all.signing.keySet),
    sbom,
    epoch,
    await textOf("src/root.ts"),
    await textOf("src/modes.ts"),
  ];
  const root = await steps.step("root", rootInputs, async (to) => {
    const tree = join(to, "tree");
    await mkdir(tree);
    await writeFile(join(to, "sbom.cdx.json"), sbom);
    await makeRoot(join(to, "root.squashfs"), tree, {
      base: debian.tar,
      overlay: join(board, "root"),
      files: {
        "usr/lib/platen": system,
        "usr/lib/platen/node": all.runtime.folder,
        "usr/lib/platen/keys": all.signing.keySet,
        "usr/share/platen/sbom.cdx.json": join(to, "sbom.cdx.json"),
      },
      epochS,
      signal,
    });
    await rm(tree, { recursive: true });
  });

  const init = await textOf("board/init");
  const script = await textOf("board/boot.cmd");
  const example = await textOf("board/platen.toml.example");
  const bootSources = [await textOf("src/boot.ts"), await textOf("src/cpio.ts")];
  const version = await systemVersion();
  const { releaseKey } = all.signing;
  const unpacked = async (to: string, work: (tree: string) => Promise<void>) => {
    const tree = join(to, "tree");
    await mkdir(tree);
    await unpackBase(debian.tar, tree, signal);
    await work(tree);
    await rm(tree, { recursive: true });
  };
  const kernel = await steps.step("kernel", [baseTar, init, ...bootSources], (to) =>
    unpacked(to, async (tree) => {
      await mkdir(join(to, "kernel"));
      await makeKernel(join(to, "kernel"), tree, init);
    }),
  );
  const facts = { version, channel: options.channel, runtime: all.runtimeNeeded };
  const systemInputs = [
    root,
    kernel,
    JSON.stringify(facts),
    keyIdOf(releaseKey),
    await textOf("src/bundle.ts"),
  ];
  const systemBundle = await steps.step("system", systemInputs, (to) =>
    packSystem(
      join(to, "bundle"),
      { root: join(root, "root.squashfs"), kernel: join(kernel, "kernel") },
      facts,
      releaseKey,
    ),
  );
  const { bytes: head } = await headOf(join(systemBundle, "bundle"), all.trusted);
  const bootInputs = [
    baseTar,
    kernel,
    Buffer.from(head).toString("latin1"),
    script,
    example,
    epoch,
    ...bootSources,
  ];
  const boot = await steps.step(
    "boot",
    [...bootInputs, await textOf("src/u-boot.ts"), await textOf("src/fdt.ts")],
    (to) =>
      unpacked(to, (tree) =>
        makeBoot(join(to, "boot.vfat"), {
          root: tree,
          script,
          kernel: join(kernel, "kernel"),
          head,
          files: { "platen.toml.example": example },
          epochS,
          signal,
        }),
      ),
  );

  const bundle = join(all.app, "bundle");
  const { keySet } = all.signing;
  const dataInputs = [await hashFile(bundle), await hashFile(keySet), epoch, await textOf("src/data.ts")];
  const data = await steps.step("data", dataInputs, async (to) => {
    const tree = join(to, "tree");
    await mkdir(tree);
    await makeData(join(to, "data.ext4"), tree, { bundle, keySet, epochS, signal });
    await rm(tree, { recursive: true });
  });

  const image = await steps.step("image", [root, boot, data, await textOf("src/card.ts")], async (to) => {
    const files = {
      boot: join(boot, "boot.vfat"),
      rootA: join(root, "root.squashfs"),
      data: join(data, "data.ext4"),
    };
    await writeImage(join(to, "card.img"), files, signal);
    await run(
      "zstd",
      ["-q", "-10", "-T0", "--no-progress", join(to, "card.img"), "-o", join(to, "card.img.zst")],
      { signal },
    );
  });
  return [
    await deliver(join(image, "card.img"), out, "platen-arm64.img", signal),
    await deliver(join(image, "card.img.zst"), out, "platen-arm64.img.zst", signal),
    await deliver(join(root, "sbom.cdx.json"), out, "platen-arm64.sbom.cdx.json", signal),
    await deliver(join(systemBundle, "bundle"), out, `platen-system-${version}-arm64.bundle`, signal),
    ...(await deliverBundles(all, options)),
  ];
}
