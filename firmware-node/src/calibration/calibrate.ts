/** Calibration from chart to file: what the `calibrate` command does, with the engine and the files handed to it. */
import { EngineModel, plainPaper, type Scan, scanOf } from "@platen/hw";
import { SimulatedEngine } from "../adapters/simulated-engine.ts";
import { curvesOf, type Wedges } from "../color/calibration.ts";
import type { Colorant } from "../pixels/halftoner.ts";
import { type Measurement, wedgesOf } from "./measurements.ts";
import { printWedge, type WedgeJob } from "./print-wedge.ts";
import { readChart } from "./read-chart.ts";

/** The calibration file of wedges (color/calibration.ts). */
export const calibrationFile = (wedges: Wedges): string =>
  `${JSON.stringify({ version: 1, wedges }, undefined, 1)}\n`;

/** One loop with the simulated engine. */
export interface SimulatedCalibration {
  readonly before: Wedges;
  readonly after: Wedges;
  readonly scans: { readonly before: Scan; readonly after: Scan };
}

/** Dots that make a pixel of the simulated scanner, at about 150 dpi. */
const dotsPerPixel = (resolutionDpi: number): number => Math.max(2, Math.round(resolutionDpi / 150));

/**
 * Prints the chart on a simulated engine whose dots spread as on plain paper, reads it back, and prints and reads it again
 * through the curves that came of it.
 */
export async function calibrateSimulated(
  job: Omit<WedgeJob, "curves">,
  inks: readonly Colorant[],
  signal: AbortSignal,
): Promise<SimulatedCalibration> {
  const look = async (curves?: WedgeJob["curves"]): Promise<[Measurement[], Scan]> => {
    const model = new EngineModel({ inks, keepSheets: true });
    await using driver = new SimulatedEngine(model, {
      makeAndModel: "Platen simulated engine",
      colorants: inks,
      resolutionsDpi: [job.resolutionDpi],
      duplex: false,
    });
    await printWedge(driver, { ...job, ...(curves && { curves }) }, signal);
    const scan = scanOf(model.sheets[0]!.sides[0]!, {
      dotsPerPixel: dotsPerPixel(job.resolutionDpi),
      looks: plainPaper,
    });
    return [readChart(scan, inks), scan];
  };
  const [uncalibrated, scanBefore] = await look();
  const before = wedgesOf(uncalibrated);
  const [calibrated, scanAfter] = await look(curvesOf(before));
  return { before, after: wedgesOf(calibrated), scans: { before: scanBefore, after: scanAfter } };
}
