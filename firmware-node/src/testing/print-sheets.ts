/** Prints jobs of random dots through a driver, as a print runner would: through faults, and on after what is stacked. */
import { type EngineModel } from "@platen/hw";
import { type Random, randomInt } from "@platen/hw/link";
import type { PrinterStateReason } from "@platen/proto";
import { type Colorant, type EngineDriver, EngineFault, type PageStart } from "../ports/engine-driver.ts";

const widthPx = 600;
const strideBytes = 75;
const rowsPx = 48;
const colorants: readonly Colorant[] = ["cyan", "magenta", "yellow", "black"];

/** A sheet: strips of planes. */
export interface TestSheet {
  readonly strips: readonly ReadonlyMap<Colorant, Uint8Array>[];
}

export function randomSheet(random: Random): TestSheet {
  const fills = [() => 0, () => 0x88, () => 0xff, () => randomInt(random, 0, 255)];
  const strips = Array.from({ length: randomInt(random, 1, 5) }, () => {
    const inks = colorants.filter(() => random() < 0.6);
    return new Map(
      inks.map((ink) => {
        const fill = fills[randomInt(random, 0, 3)]!;
        return [ink, Uint8Array.from({ length: strideBytes * rowsPx }, fill)] as const;
      }),
    );
  });
  return { strips };
}

const pageOf = (sheetNumber: number, sheet: TestSheet): PageStart => ({
  impressionNumber: sheetNumber,
  sheetNumber,
  side: "front",
  lastOfSheet: true,
  widthPx,
  heightPx: rowsPx * sheet.strips.length,
  resolutionDpi: 600,
  colorants,
  media: "iso_a4_210x297mm",
  mediaWidthUm: 210_000,
  mediaHeightUm: 297_000,
});

async function printSheet(driver: EngineDriver, sheetNumber: number, sheet: TestSheet, signal: AbortSignal) {
  await driver.startPage(pageOf(sheetNumber, sheet), signal);
  for (const [i, strip] of sheet.strips.entries()) {
    const planes = [...strip].map(([colorant, bits]) => ({ colorant, bits }));
    await driver.writeBand({ yPx: i * rowsPx, rowsPx, strideBytes, planes }, signal);
  }
  await driver.endPage(signal);
}

export interface PrintSheetsOptions {
  readonly driver: EngineDriver;
  readonly jobId: string;
  readonly sheets: readonly TestSheet[];
  readonly signal?: AbortSignal;
  /** Each sheet that the driver says is stacked. */
  readonly onStacked?: (sheetNumber: number) => void;
  /** Each stop on the way; what it throws ends the job. */
  readonly onFault?: (reasons: readonly PrinterStateReason[]) => void;
}

/** Resolves when all sheets are stacked. */
export async function printSheets(options: PrintSheetsOptions): Promise<void> {
  const { driver, jobId, sheets, signal = new AbortController().signal } = options;
  let stacked = 0;
  let untilReady: PromiseWithResolvers<void> | undefined;
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  const abort = (): void => aborted.reject(signal.reason as Error);
  signal.addEventListener("abort", abort);
  const mute = driver.listen((event) => {
    if (event.kind === "stopped") untilReady ??= Promise.withResolvers();
    if (event.kind === "ready") {
      untilReady?.resolve();
      untilReady = undefined;
    }
    if (event.kind !== "sheet-stacked" || event.jobId !== jobId) return;
    stacked = event.sheetNumber;
    options.onStacked?.(stacked);
  });
  const throughFaults = async (work: () => Promise<void>): Promise<void> => {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof EngineFault)) throw error;
        options.onFault?.(error.reasons);
        await Promise.race([untilReady?.promise, aborted.promise]);
      }
    }
  };
  try {
    await throughFaults(async () => {
      stacked = Math.max(stacked, await driver.startJob({ jobId, jobName: "test" }, signal));
    });
    await throughFaults(async () => {
      for (let next = stacked + 1; next <= sheets.length; next++) {
        await printSheet(driver, next, sheets[next - 1]!, signal);
      }
      await driver.endJob(signal);
    });
  } finally {
    signal.removeEventListener("abort", abort);
    mute();
  }
}

/** What is wrong with the sheets of a job in the output tray: one is missing, or is not to the bit what was sent. */
export function mistakesOf(model: EngineModel, jobKey: string, sheets: readonly TestSheet[]): string[] {
  const mistakes: string[] = [];
  const printed = model.sheets.filter((sheet) => sheet.jobId === jobKey);
  sheets.forEach(({ strips }, i) => {
    const copies = printed.filter((sheet) => sheet.sheetNumber === i + 1);
    if (copies.length === 0) mistakes.push(`sheet ${i + 1} is missing`);
    for (const copy of copies) {
      strips.forEach((strip, at) => {
        const offset = at * strideBytes * rowsPx;
        for (const ink of colorants) {
          const plane = copy.sides[0]!.planes.get(ink)!.subarray(offset, offset + strideBytes * rowsPx);
          const sent = strip.get(ink) ?? new Uint8Array(plane.length);
          if (Buffer.compare(plane, sent) !== 0) mistakes.push(`sheet ${i + 1}, strip ${at}, ${ink} differs`);
        }
      });
    }
  });
  if (printed.some((sheet) => sheet.sheetNumber > sheets.length)) mistakes.push("there is a sheet too many");
  return mistakes;
}
