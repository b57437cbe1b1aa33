/** The app as a folder that runs on the board: the firmware in a few files, native modules for arm64, licences. */
import { cp, glob, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { bundlePrograms } from "./bundler.ts";
import { run } from "./command.ts";
import { evenModes } from "./modes.ts";
import { licenses, type NpmPackage, packageFolderOf, Tree } from "./packages.ts";
import type { Steps } from "./steps.ts";

/** Workspaces that the firmware is made of. */
const workspaces = ["proto", "hw", "firmware-node"] as const;
/** Packages that load files as they run, so they stay as they are. */
const external = ["sharp", "@serialport/bindings-cpp", "lcms-wasm"];
/** lcms-wasm names its test tool as a dependency. */
const unneeded = ["tape"];

/** Of an external package: what is not needed to run it on the board. */
const isSuperfluous = (path: string): boolean =>
  /\/prebuilds\/(?!linux-arm64(\/|$))|musl|^\/(test|docs?|install|binding\.gyp)(\/|$)|\.(d\.[cm]?ts|map|md|c|cc|h|cpp)$/i.test(
    path,
  );

export interface Installed {
  /** Holds the sources of the workspaces, and node_modules for the board. */
  readonly root: string;
}

/** Installs what the lock names for the board, from npm, integrity checked, into a folder of its own. */
export async function installPackages(
  repository: string,
  steps: Steps,
  signal?: AbortSignal,
): Promise<Installed> {
  const manifests = await manifestFiles(repository);
  const texts = await Promise.all(manifests.map((name) => readFile(join(repository, name), "utf8")));
  const root = await steps.step("npm", ["1", ...manifests, ...texts], async (folder) => {
    for (const name of manifests) await cp(join(repository, name), join(folder, name));
    const only = ["--workspace", "@platen/firmware-node", "--include-workspace-root=false", "--omit=dev"];
    const board = ["--os=linux", "--cpu=arm64", "--libc=glibc"];
    const quiet = ["--ignore-scripts", "--no-audit", "--no-fund"];
    await run("npm", ["ci", ...only, ...board, ...quiet], { cwd: folder, signal });
  });
  return { root };
}

/** package.json of the root and of each workspace, lock and settings of npm; paths in the repository. */
async function manifestFiles(repository: string): Promise<string[]> {
  const { workspaces: folders } = JSON.parse(await readFile(join(repository, "package.json"), "utf8")) as {
    workspaces: string[];
  };
  return [
    ".npmrc",
    "package.json",
    "package-lock.json",
    ...folders.map((folder) => `${folder}/package.json`),
  ];
}

/** A copy of the workspaces' sources beside the board's node_modules, so that nothing of this machine's own gets in. */
async function copySources(repository: string, installed: Installed, to: string): Promise<void> {
  await cp(installed.root, to, { recursive: true, verbatimSymlinks: true, mode: 0 });
  for (const workspace of workspaces) {
    await cp(join(repository, workspace), join(to, workspace), {
      recursive: true,
      filter: (path) =>
        !/\/node_modules(\/|$)|\/(testing|engine-fw|conformance|flash|golden)(\/|$)|\.test\.ts$/.test(path),
    });
  }
}

/**
 * Fills `folder` with the app: `main.js` is the `platen-printer` command. Resolves to the npm packages in it. The same sources
 * and lock make the same bytes.
 */
export async function buildApp(
  repository: string,
  installed: Installed,
  folder: string,
): Promise<NpmPackage[]> {
  const work = await mkdtemp(join(tmpdir(), "platen-app-"));
  try {
    await copySources(repository, installed, work);
    const tree = await Tree.open(work);
    const { modules, readers } = await bundlePrograms({
      root: work,
      programs: { main: join(work, "firmware-node/src/main.ts") },
      folder,
      external,
    });
    for (const from of readers) await copyProtos(from, join(folder, relative(work, from)));
    const own = await tree.closure(external, unneeded);
    for (const from of own) {
      await cp(from, join(folder, relative(work, from)), {
        recursive: true,
        filter: (path) =>
          path === from || !(isSuperfluous(path.slice(from.length)) || path.endsWith("/node_modules")),
      });
    }
    await writeFile(join(folder, "package.json"), `${JSON.stringify({ type: "module", private: true })}\n`);
    await cp(join(work, "firmware-node/profiles"), join(folder, "profiles"), { recursive: true });
    const bundled = modules.map(packageFolderOf).filter((each) => each !== undefined);
    const folders = [...new Set([...own, ...bundled])].sort();
    const packages = await Promise.all(folders.map((each) => tree.at(each)));
    await writeFile(join(folder, "LICENSES.txt"), await licenses(packages));
    await evenModes(folder);
    return packages.map((each) => ({ ...each, folder: relative(work, each.folder) }));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The packages of gRPC read their own interfaces, as protobuf's sources. */
export async function copyProtos(from: string, to: string): Promise<void> {
  for await (const path of glob("{proto,build/proto}/**/*.proto", { cwd: from })) {
    if (!path.includes("sample")) await cp(join(from, path), join(to, path));
  }
}
