/** Builds of the C code, in a folder of their own. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const folder = fileURLToPath(new URL("..", import.meta.url));

export interface FirmwareBuild extends AsyncDisposable {
  /** Where `target` lies. */
  readonly path: string;
}

/** Arguments of `qemu-system-arm`: the line on standard input and output, the bench panel on descriptor 3. */
export const emulatedBoard = (firmware: string): string[] => [
  ..."-M lm3s6965evb -display none -monitor none -serial stdio".split(" "),
  ..."-chardev socket,id=panel,fd=3 -serial chardev:panel".split(" "),
  "-kernel",
  firmware,
];

/** Makes one target of the Makefile: `vectors`, `posix-engine`, `fuzz` or `lm3s6965.elf`. Throws with the compiler's words. */
export async function buildFirmware(target: string): Promise<FirmwareBuild> {
  const build = await mkdtemp(join(tmpdir(), "platen-engine-fw-"));
  const remove = (): Promise<void> => rm(build, { recursive: true, force: true });
  try {
    await promisify(execFile)("make", ["-C", folder, `BUILD=${build}`, join(build, target)]);
  } catch (error) {
    await remove();
    throw error;
  }
  return { path: join(build, target), [Symbol.asyncDispose]: remove };
}
