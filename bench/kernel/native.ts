/** The kernel's work in C, compiled here: native/. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { InkTable } from "../../firmware-node/src/pixels/ink-table.ts";
import { tablesOf } from "../../firmware-node/src/pixels/kernel.ts";

const call = promisify(execFile);
const source = (name: string): string => join(import.meta.dirname, "native", name);

export interface NativeKernel {
  /** CPU seconds of one run on `pixels`, a file of sRGB; its planes go to `planes`. */
  seconds(what: "scalar" | "sse", pixels: string, planes: string): Promise<number>;
}

/** Compiles the C for this machine; undefined, and says so, where that cannot be. */
export async function nativeKernel(
  table: InkTable,
  widthPx: number,
  heightPx: number,
  folder: string,
): Promise<NativeKernel | undefined> {
  const program = join(folder, "native");
  const tables = join(folder, "tables");
  const { inks, thresholds, dithers, biases } = tablesOf(table);
  await writeFile(tables, Buffer.concat([inks, thresholds, dithers, biases].map(bytesOf)));
  const sources = ["main.c", "scalar.c", "sse.c"].map(source);
  try {
    await call("gcc", ["-O3", "-march=native", "-o", program, ...sources]);
  } catch {
    console.log("native C: left out, since gcc or SSE is missing here");
    return undefined;
  }
  return {
    async seconds(what, pixels, planes) {
      // The first run is not counted: it touches the memory.
      const args = [what, `${widthPx}`, `${heightPx}`, "2", tables, pixels, planes];
      const { stdout } = await call(program, args);
      return Number(stdout.trim().split("\n").at(-1));
    },
  };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Int16Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);
