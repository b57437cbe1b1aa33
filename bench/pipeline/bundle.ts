/** The printer's program as it is on a board. */
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { bundlePrograms } from "../../hw/flash/src/bundler.ts";

const root = join(import.meta.dirname, "..", "..");

/** `platen-printer` in the sources. */
export const sourceProgram = join(root, "firmware-node", "src", "main.ts");

/** Bundles `platen-printer` into `folder`, which is made. Resolves to the program. */
export async function bundlePrinter(folder: string): Promise<string> {
  await mkdir(folder);
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const external = ["sharp", "@serialport/bindings-cpp", "lcms-wasm"];
  await bundlePrograms({ root, programs: { main: sourceProgram }, folder, external });
  return join(folder, "main.js");
}
