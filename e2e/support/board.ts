/** A board for tests: a folder with real slots, the real launcher in a process of its own, and the real firmware in its versions. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { packBundle } from "../../firmware-node/src/updates/bundle.ts";
import {
  appManifest,
  keySetBytes,
  makeTree,
  releaseKey,
} from "../../firmware-node/src/updates/testing/bundles.ts";

const pathOf = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const bootMain = pathOf("firmware-node/src/updates/boot.ts");
const platenMain = pathOf("backend/src/main.ts");
/** What a good version does: it is the firmware. */
const firmware = `import ${JSON.stringify(pathOf("firmware-node/src/main.ts"))};`;

export interface Ran {
  readonly code: number;
  readonly output: string;
}

async function run(main: string, args: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const parts: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => parts.push(String(part)));
  const [code] = (await once(child, "close")) as [number];
  return { code, output: parts.join("") };
}

/** The `platen` command. */
export const platen = (...args: string[]): Promise<Ran> => run(platenMain, args);

export interface TestBoard extends AsyncDisposable {
  readonly folder: string;
  /** What the launcher and the printer have said so far. */
  readonly lines: readonly string[];
  /** A bundle of a version that does what `main` says, by default of the firmware itself. */
  bundle(
    version: string,
    main?: string,
    key?: Parameters<typeof packBundle>[0]["privateKey"],
  ): Promise<string>;
  /** Starts the launcher, as power does; `more` are flags for the printer. */
  powerOn(...more: string[]): void;
  /** SIGKILL to the launcher and to whatever it runs. */
  powerOff(): Promise<void>;
}

/** A board with version 1.0.0 on it, not switched on yet. */
export async function testBoard(printerId: string, backend: string): Promise<TestBoard> {
  const folder = await mkdtemp(join(tmpdir(), "platen-board-"));
  const root = join(folder, "board");
  const lines: string[] = [];
  let launcher: ChildProcess | undefined;
  const bundle: TestBoard["bundle"] = async (version, main = firmware, key = releaseKey) => {
    const tree = join(folder, `tree-${version}`);
    await rm(tree, { recursive: true, force: true });
    // Some bytes that do not compress, so that a download takes a few steps.
    await makeTree(tree, { "main.mjs": main, "ballast.bin": crypto.getRandomValues(new Uint8Array(60_000)) });
    const file = join(folder, `${version}.bundle`);
    const manifest = appManifest(version, { main: "main.mjs" });
    await packBundle({ folder: tree, manifest, privateKey: key, file, level: 1 });
    return file;
  };
  await writeFile(join(folder, "keys"), keySetBytes);
  const init = ["init", "--board", root, "--target", "linux-test", "--keys", join(folder, "keys")];
  const { code, output } = await run(bootMain, [...init, "--bundle", await bundle("1.0.0")]);
  if (code !== 0) throw new Error(output);

  const powerOff = async (): Promise<void> => {
    if (!launcher?.pid || launcher.exitCode !== null || launcher.signalCode !== null) return;
    const exited = once(launcher, "exit");
    // Its whole group: what it started ends with it.
    process.kill(-launcher.pid, "SIGKILL");
    await exited;
  };
  return {
    folder,
    lines,
    bundle,
    powerOn: (...more) => {
      const app = ["--printer-id", printerId, "--backend", backend, "--update-board", "linux-test"];
      const places = ["--sink", `png:${join(folder, "sheets")}`, "--state-dir", join(folder, "state")];
      const limits = ["--trial-limit-s", "60", "--silence-limit-s", "12"];
      const args = ["run", "--board", root, ...limits, "--", ...app, ...places, ...more];
      launcher = spawn(process.execPath, [bootMain, ...args], {
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      });
      for (const stream of [launcher.stdout!, launcher.stderr!]) {
        createInterface({ input: stream }).on("line", (line) => lines.push(line));
      }
    },
    powerOff,
    [Symbol.asyncDispose]: async () => {
      await powerOff();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
