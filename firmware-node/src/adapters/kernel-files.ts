/** The pixel kernel and the printer's ink tables, from files. */
import { readFile } from "node:fs/promises";
import { fileTrouble, PlatenError } from "@platen/proto";
import type { Wedges } from "../color/calibration.ts";
import { parseCalibration } from "../color/calibration-file.ts";
import { InkTables, type MediaInks } from "../color/ink-choice.ts";
import type { Intent } from "../color/profile.ts";
import { bakeInkTable } from "./bake-table.ts";

const wasmFile = new URL("../../kernel/kernel.wasm", import.meta.url);

/** kernel/kernel.wasm. */
export const readKernel = async (): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await readFile(wasmFile));

/** By PWG 5101.1 name of the medium; "default" for all that have no entry of their own. */
export type ByMedia<T> = Readonly<Record<string, T>>;

export interface InkFiles {
  /** ICC output profiles. */
  readonly profile?: ByMedia<string> | undefined;
  readonly renderingIntent: Intent;
  readonly blackPercent: number;
  readonly inkLimitPercent?: ByMedia<number> | undefined;
  /** JSON: see color/calibration.ts. */
  readonly calibration?: ByMedia<string> | undefined;
}

const of = <T>(setting: ByMedia<T> | undefined, media: string): T | undefined =>
  setting?.[media] ?? setting?.["default"];

const read = (file: string): Promise<Buffer> =>
  readFile(file).catch((cause: Error) => {
    throw new PlatenError("configuration", `cannot read ${file}: ${fileTrouble(cause)}`, { cause });
  });

/** A failure that names the file behind it. */
async function from<T>(file: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PlatenError)) throw error;
    throw new PlatenError(error.code, `${file}: ${error.message}`, { cause: error });
  }
}

const wedgesOf = async (file: string): Promise<Wedges> => {
  const text = (await read(file)).toString("utf8");
  return from(file, () => parseCalibration(text));
};

async function inksOf(files: InkFiles, media: string): Promise<MediaInks> {
  const [profile, calibration] = [of(files.profile, media), of(files.calibration, media)];
  const inkLimitPercent = of(files.inkLimitPercent, media);
  return {
    intent: files.renderingIntent,
    blackPercent: files.blackPercent,
    ...(inkLimitPercent !== undefined && { inkLimitPercent }),
    ...(profile && { profile: new Uint8Array(await read(profile)) }),
    ...(calibration && { wedges: await wedgesOf(calibration) }),
  };
}

/**
 * The ink tables that the files make. Every file is tried, so that a printer does not start with one that cannot be used:
 * throws `configuration`, which names it.
 */
export async function loadInkTables(files: InkFiles): Promise<InkTables> {
  const { profile, inkLimitPercent, calibration } = files;
  const settings = [profile, inkLimitPercent, calibration];
  const named = new Set(["default", ...settings.flatMap((setting) => Object.keys(setting ?? {}))]);
  const inks = new Map<string, MediaInks>();
  for (const media of named) inks.set(media, await inksOf(files, media));
  const tables = new InkTables((media) => inks.get(media) ?? inks.get("default")!, bakeInkTable);
  for (const media of named) {
    const make = () => tables.tableFor({ media, neutrals: "black" });
    await from(of(profile, media) ?? "the ink table", make);
  }
  return tables;
}
