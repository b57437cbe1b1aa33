/** Prints the calibration chart: coverage goes to the halftone as it is asked for, past profile and ink limit. */
import { PlatenError } from "@platen/proto";
import type { Curve } from "../color/calibration.ts";
import type { Colorant } from "../pixels/halftoner.ts";
import { full, noInk, solid } from "../pixels/ink-table.ts";
import { diffusion } from "../pixels/shiau-fan.ts";
import type { EngineDriver, PlanarBand } from "../ports/engine-driver.ts";
import { type Chart, chartOf, patchUm } from "./chart.ts";

export interface WedgeJob {
  readonly jobId: string;
  /** PWG 5101.1 name. */
  readonly media: string;
  readonly mediaWidthUm: number;
  readonly mediaHeightUm: number;
  readonly resolutionDpi: number;
  /** Curves of cyan, magenta, yellow, black to print through, to see what a calibration does. Default: none. */
  readonly curves?: readonly Curve[];
}

/** The order of `diffusion`'s planes and of a calibration's curves. */
const planes: readonly Colorant[] = ["cyan", "magenta", "yellow", "black"];
const bandRows = 128;
/** Paper around the chart that must be there: no engine prints to the very edge. */
const edgeUm = 7500;

interface Rectangle {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly coverage: number;
}

/** What to lay of one ink, in dots from the page's corner. */
function rectangles(chart: Chart, ink: Colorant, job: WedgeJob): Rectangle[] {
  const [left, top] = [(job.mediaWidthUm - chart.widthUm) / 2, (job.mediaHeightUm - chart.heightUm) / 2];
  const dots = (um: number): number => Math.round((um * job.resolutionDpi) / 25_400);
  const around = ({ xUm, yUm }: { xUm: number; yUm: number }, edge: number, coverage: number) => ({
    left: dots(left + xUm - edge / 2),
    right: dots(left + xUm + edge / 2),
    top: dots(top + yUm - edge / 2),
    bottom: dots(top + yUm + edge / 2),
    coverage,
  });
  const curve = job.curves?.[planes.indexOf(ink)] ?? ((wanted) => wanted);
  const patches = chart.patches
    .filter((patch) => patch.ink === ink && patch.asked > 0)
    .map((patch) =>
      around(patch, patchUm, patch.asked === 1 ? solid : Math.round(full * curve(patch.asked))),
    );
  return ink === "black"
    ? [...patches, ...chart.marks.map((mark) => around(mark, chart.markUm, solid))]
    : patches;
}

function* bands(chart: Chart, inks: readonly Colorant[], job: WedgeJob, widthPx: number, heightPx: number) {
  const strideBytes = Math.ceil(widthPx / 8);
  const layers = inks.map((colorant) => ({
    colorant,
    diffusion: diffusion(widthPx, planes.indexOf(colorant)),
    rectangles: rectangles(chart, colorant, job),
  }));
  const row = new Int16Array(widthPx);
  for (let yPx = 0; yPx < heightPx; yPx += bandRows) {
    const rowsPx = Math.min(bandRows, heightPx - yPx);
    const laid = layers.map((layer) => {
      const bits = new Uint8Array(rowsPx * strideBytes);
      for (let y = 0; y < rowsPx; y++) {
        const here = layer.rectangles.filter(({ top, bottom }) => yPx + y >= top && yPx + y < bottom);
        if (here.length === 0) {
          layer.diffusion.skip(1);
          continue;
        }
        row.fill(noInk);
        for (const { left, right, coverage } of here) row.fill(coverage, left, right);
        layer.diffusion.row(row, 0, 1, bits, y * strideBytes, undefined);
      }
      return { colorant: layer.colorant, bits };
    });
    yield { yPx, rowsPx, strideBytes, planes: laid } satisfies PlanarBand;
  }
}

/** Prints the chart on one sheet. Throws `invalid-argument` when the medium is too small, and what the driver throws. */
export async function printWedge(driver: EngineDriver, job: WedgeJob, signal: AbortSignal): Promise<void> {
  const { colorants } = driver.capabilities;
  const chart = chartOf(colorants);
  const { jobId, media, mediaWidthUm, mediaHeightUm, resolutionDpi } = job;
  const [needsWidth, needsHeight] = [chart.widthUm + 2 * edgeUm, chart.heightUm + 2 * edgeUm];
  if (mediaWidthUm < needsWidth || mediaHeightUm < needsHeight) {
    const size = `${needsWidth / 1000} × ${needsHeight / 1000} mm`;
    throw new PlatenError("invalid-argument", `the chart needs ${size}, and ${media} is smaller`);
  }
  const dots = (um: number): number => Math.floor((um * resolutionDpi) / 25_400);
  const [widthPx, heightPx] = [dots(mediaWidthUm), dots(mediaHeightUm)];
  await driver.startJob({ jobId, jobName: "calibration chart" }, signal);
  try {
    await driver.startPage(
      {
        impressionNumber: 1,
        sheetNumber: 1,
        side: "front",
        lastOfSheet: true,
        widthPx,
        heightPx,
        resolutionDpi,
        colorants,
        media,
        mediaWidthUm,
        mediaHeightUm,
      },
      signal,
    );
    for (const band of bands(chart, colorants, job, widthPx, heightPx)) await driver.writeBand(band, signal);
    await driver.endPage(signal);
    await driver.endJob(signal);
  } catch (error) {
    await driver.abort();
    throw error;
  }
}
