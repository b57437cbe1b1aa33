/** Steps of a build, each kept under a hash of all that goes into it: what has not changed is not made again. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, mkdir, readdir, readFile, readlink, rename, rm, utimes } from "node:fs/promises";
import { join } from "node:path";

/** What happens to a step: nothing changed since it was done before, it begins, or it has ended after so long. */
export type StepEvent =
  | { readonly kind: "kept" | "begins"; readonly step: string }
  | { readonly kind: "done"; readonly step: string; readonly tookMs: number };

export interface Steps {
  /**
   * The folder that `make` fills, given all that it depends on. `make` gets an empty one, which is there for others only once it
   * resolves. What was made from the same inputs before is used again.
   */
  step(name: string, inputs: readonly string[], make: (folder: string) => Promise<void>): Promise<string>;
}

/** How many results of a step are kept: switching between two branches costs nothing. */
const keptMax = 3;

export function stepsIn(cache: string, onEvent: (event: StepEvent) => void = () => {}): Steps {
  return {
    async step(name, inputs, make) {
      const startMs = performance.now();
      const key = hashOf(inputs).slice(0, 32);
      const folder = join(cache, `${name}-${key}`);
      if (await exists(folder)) {
        await utimes(folder, new Date(), new Date());
        onEvent({ kind: "kept", step: name });
        return folder;
      }
      onEvent({ kind: "begins", step: name });
      const part = `${folder}.part-${process.pid}`;
      await rm(part, { recursive: true, force: true });
      await mkdir(part, { recursive: true });
      try {
        await make(part);
        await rename(part, folder);
      } catch (error) {
        await rm(part, { recursive: true, force: true });
        throw error;
      }
      await forgetOld(cache, name);
      onEvent({ kind: "done", step: name, tookMs: performance.now() - startMs });
      return folder;
    },
  };
}

async function forgetOld(cache: string, name: string): Promise<void> {
  const names = (await readdir(cache)).filter((each) => /^[0-9a-f]{32}$/.test(each.slice(name.length + 1)));
  const results = await Promise.all(
    names
      .filter((each) => each.startsWith(`${name}-`))
      .map(async (each) => ({ path: join(cache, each), usedMs: (await lstat(join(cache, each))).mtimeMs })),
  );
  results.sort((a, b) => b.usedMs - a.usedMs);
  for (const { path } of results.slice(keptMax)) await rm(path, { recursive: true, force: true });
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

/** SHA-256 of strings, so that no two lists of them have the same. */
export function hashOf(parts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest("hex");
}

/** SHA-256 of a file, hexadecimal. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, ...(signal && { signal }) })) {
    hash.update(chunk as Buffer);
  }
  return hash.digest("hex");
}

/** Hash of a folder: names, modes, contents, targets of links. */
export async function hashTree(folder: string): Promise<string> {
  const parts: string[] = [];
  const walk = async (path: string, name: string): Promise<void> => {
    const info = await lstat(path);
    const executable = (info.mode & 0o111) !== 0 ? "x" : "-";
    if (info.isDirectory()) {
      parts.push(`d ${name}`);
      for (const child of (await readdir(path)).sort()) await walk(join(path, child), `${name}/${child}`);
    } else if (info.isSymbolicLink()) parts.push(`l ${name}`, await readlink(path));
    else parts.push(`f ${executable} ${name}`, hashOf([(await readFile(path)).toString("latin1")]));
  };
  await walk(folder, "");
  return hashOf(parts);
}
