/** Loads the pixel kernel. */
import { readFile } from "node:fs/promises";
import type { InkTable } from "../pixels/ink-table.ts";
import { Kernel } from "../pixels/kernel.ts";

const wasmFile = new URL("../../kernel/kernel.wasm", import.meta.url);

export const loadKernel = async (table: InkTable): Promise<Kernel> =>
  new Kernel(new Uint8Array(await readFile(wasmFile)), table);
