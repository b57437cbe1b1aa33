/** The kernel's work in C, compiled here: native/. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { InkTable } from "../../firmware-node/src/pixels/ink-table.ts";
import { tablesOf } from "../../firmware-node/src/pixels/kernel.ts";

const call = promisify(execFile);
const source = (name: string): string => join(import.meta.dirname, "native", name);

/** Vectors of SSE, also with all instructions and registers that this processor has for them; and none. */
const flags = { sse: "-msse4.1", "sse-native": "-march=native", scalar: "-march=native" } as const;

export interface NativeKernel {
  /** CPU seconds of one run on `pixels`, a file of sRGB; its planes go to `planes`. */
  seconds(what: keyof typeof flags, pixels: string, planes: string): Promise<number>;
}

/** Compiles the C; undefined, and says so, where that cannot be. */
export async function nativeKernel(
  table: InkTable,
  widthPx: number,
  heightPx: number,
  folder: string,
): Promise<NativeKernel | undefined> {
  const programOf = (what: keyof typeof flags) => join(folder, `native-${what}`);
  const tables = join(folder, "tables");
  const { inks, thresholds, masks, dithers } = tablesOf(table);
  await writeFile(tables, Buffer.concat([inks, thresholds, masks, dithers].map(bytesOf)));
  const sources = ["main.c", "scalar.c", "sse.c"].map(source);
  try {
    for (const what of ["sse", "sse-native", "scalar"] as const)
      await call("gcc", ["-O3", flags[what], "-o", programOf(what), ...sources]);
  } catch {
    console.log("native C: left out, since gcc or SSE is missing here");
    return undefined;
  }
  return {
    async seconds(what, pixels, planes) {
      // As with the kernel, the first run is not counted: it touches the memory.
      const args = [
        what === "scalar" ? what : "sse",
        `${widthPx}`,
        `${heightPx}`,
        "2",
        tables,
        pixels,
        planes,
      ];
      const { stdout } = await call(programOf(what), args);
      return Number(stdout.trim().split("\n").at(-1));
    },
  };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Int16Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);
