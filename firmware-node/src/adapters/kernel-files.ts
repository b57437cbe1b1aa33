/** The pixel kernel and its ink table, from files. */
import { readFile } from "node:fs/promises";
import { PlatenError } from "@platen/proto";
import { parseCalibration } from "../color/calibration.ts";
import { makeInkTable } from "../color/ink-tables.ts";
import type { Intent } from "../color/profile.ts";
import type { InkTable } from "../pixels/ink-table.ts";
import { Kernel } from "../pixels/kernel.ts";

const wasmFile = new URL("../../kernel/kernel.wasm", import.meta.url);

export const loadKernel = async (table: InkTable): Promise<Kernel> =>
  new Kernel(new Uint8Array(await readFile(wasmFile)), table);

export interface InkFiles {
  /** ICC output profile. */
  readonly profile?: string | undefined;
  readonly renderingIntent: Intent;
  readonly inkLimitPercent: number;
  /** JSON: see color/calibration.ts. */
  readonly calibration?: string | undefined;
}

const read = (file: string): Promise<Buffer> =>
  readFile(file).catch((cause: Error) => {
    throw new PlatenError("configuration", `cannot read ${file}: ${cause.message}`, { cause });
  });

/** The ink table that the files make. Throws `configuration`. */
export async function loadInkTable(files: InkFiles): Promise<InkTable> {
  const { profile, renderingIntent: intent, inkLimitPercent, calibration } = files;
  return makeInkTable({
    intent,
    inkLimitPercent,
    ...(profile && { profile: new Uint8Array(await read(profile)) }),
    ...(calibration && { curves: parseCalibration((await read(calibration)).toString("utf8")) }),
  });
}
