/** A real file system that is full, in a mount namespace of its own. Skipped, with a word, where none may be made. */
import { execFile, execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { packBundle } from "./bundle.ts";
import { appManifest, makeTree, releaseKey, tempFolder } from "./testing/bundles.ts";
import type { Attempt } from "./testing/full-disk.ts";

const script = fileURLToPath(new URL("testing/full-disk.ts", import.meta.url));
/** Runs a command with a tmpfs at `folder` that nobody else sees. */
const onTmpfs = (folder: string, ...command: string[]): [string, string[]] => [
  "unshare",
  ["-rm", "sh", "-c", 'mount -t tmpfs -o size=16m tmpfs "$0" && exec "$@"', folder, ...command],
];

function canMount(): boolean {
  try {
    execFileSync(...onTmpfs("/mnt", "true"), { stdio: "ignore" });
    return true;
  } catch {
    process.stderr.write(
      "full-disk: skipped; this system lets nobody mount a tmpfs in a namespace (unshare -rm)\n",
    );
    return false;
  }
}

test.skipIf(!canMount())(
  "an update on a disk that is full at any point leaves the running version, says why and gives the space back",
  { timeout: 60_000 },
  async () => {
    await using folder = await tempFolder();
    const make = async (version: string): Promise<string> => {
      const tree = join(folder.path, version);
      const ballast = () => crypto.getRandomValues(new Uint8Array(20_000));
      await makeTree(tree, { "main.js": "", "lib/a.bin": ballast(), "lib/b.bin": ballast() });
      const file = `${tree}.bundle`;
      const manifest = appManifest(version);
      await packBundle({ folder: tree, manifest, privateKey: releaseKey, file, level: 1 });
      return file;
    };
    const mounted = join(folder.path, "mounted");
    await makeTree(mounted, {});
    const bundles = [await make("1.0.0"), await make("1.1.0")];
    const { stdout } = await promisify(execFile)(
      ...onTmpfs(mounted, process.execPath, script, mounted, ...bundles),
    );
    const attempts = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Attempt);

    const failures = attempts.slice(0, -1);
    expect(new Set(failures.map(({ failed }) => failed?.code))).toEqual(new Set(["disk-full"]));
    // Space ran out in each of the steps, one after the other.
    expect([...new Set(failures.map(({ failed }) => failed!.step))]).toEqual([
      "download",
      "install",
      "askTrial",
    ]);
    expect(new Set(failures.map(({ next }) => next))).toEqual(new Set(["1.0.0"]));
    for (const { failed, slots, takenBytes } of failures) {
      if (failed!.step === "askTrial") continue;
      expect(slots).toEqual(["a", "a.json"]);
      expect(takenBytes).toBeLessThanOrEqual(0);
    }
    expect(attempts.at(-1)!.next).toBe("1.1.0 on trial");
  },
);
