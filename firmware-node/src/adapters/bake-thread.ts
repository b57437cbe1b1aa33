/** The thread behind bake-table.ts. It imports little on purpose: what a thread loads, the process holds twice. */
import { parentPort, workerData } from "node:worker_threads";
import { InkError } from "../color/error.ts";
import { type InkOptions, makeInkTable } from "../color/ink-tables.ts";
import type { Baked } from "./bake-table.ts";

const bake = async (): Promise<Baked> => {
  try {
    return { table: await makeInkTable(workerData as InkOptions) };
  } catch (error) {
    if (error instanceof InkError) return { code: error.code, message: error.message };
    throw error;
  }
};

const baked = await bake();
const buffers = "table" in baked ? [baked.table.cube.buffer, baked.table.black.buffer] : [];
parentPort?.postMessage(baked, buffers as ArrayBuffer[]);
