/** The thread behind bake-table.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { toPlatenError } from "@platen/proto";
import { type InkOptions, makeInkTable } from "../color/ink-tables.ts";
import type { Baked } from "./bake-table.ts";

const bake = async (): Promise<Baked> => {
  try {
    return { table: await makeInkTable(workerData as InkOptions) };
  } catch (error) {
    const { code, message } = toPlatenError(error);
    return { code, message };
  }
};

const baked = await bake();
const buffers = "table" in baked ? [baked.table.cube.buffer, baked.table.black.buffer] : [];
parentPort?.postMessage(baked, buffers as ArrayBuffer[]);
