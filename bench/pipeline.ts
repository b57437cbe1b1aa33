/**
 * `npm run bench -- pipeline [stages]`: what printing a page takes of the controller, and what of it each stage. The real `platen-printer` prints from a result
 * store beside it, bundled as on the board and as it stands in the sources. A4 at 600 dpi, and a roll of ten metres. The photo
 * comes from PLATEN_SHARED (default ../shared)/images.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundlePrinter, sourceProgram } from "./pipeline/bundle.ts";
import { type BandedPage, bandedPages, roll } from "./pipeline/pages.ts";
import { type Printing, printInProcess, stageNames } from "./pipeline/printing.ts";

const columns = ["idle MiB", "peak MiB", "wall s", "CPU s"];

const row = (name: string, cells: readonly string[]): void =>
  console.log(`${name.padEnd(40)}${cells.map((cell) => cell.padStart(9)).join("")}`);

type Program = readonly [kind: string, path: string];

/** What pages take as a whole. */
async function pages(programs: readonly Program[], photo: BandedPage, text: BandedPage): Promise<void> {
  const printings: (readonly [string, Printing])[] = [
    ["photo, PNG files", { pages: [photo], sink: "png" }],
    ["text, PNG files", { pages: [text], sink: "png" }],
    ["photo, simulated engine", { pages: [photo], sink: "sim" }],
    ["text, simulated engine", { pages: [text], sink: "sim" }],
    // 10 m.
    ["10 m roll, simulated engine", { pages: [roll(photo, 236_220)], sink: "sim" }],
  ];
  row("", columns);
  for (const [kind, program] of programs) {
    for (const [name, printing] of printings) {
      const { idleMiB, peakMiB, wallS, cpuS } = await printInProcess(program, printing);
      row(`${name}, ${kind}`, [idleMiB.toFixed(0), peakMiB.toFixed(0), wallS.toFixed(2), cpuS.toFixed(2)]);
    }
  }
}

/**
 * CPU seconds of each stage in a printer that has printed before: with an engine on a serial line that takes all that comes, and
 * with one that counts dots in the printer itself and has no line. And how long it lasts where the stages overlap, and where all
 * threads share one core.
 */
async function stages([, program]: Program, photo: BandedPage, text: BandedPage): Promise<void> {
  row("\nstages, bundled", [...stageNames, "peak MiB", "overlap s", "1 core s", "÷ slowest"]);
  for (const [page, sink] of [
    [photo, "sim"],
    [text, "sim"],
    [photo, "serial"],
    [text, "serial"],
  ] as const) {
    const printing = { pages: [page], sink, warm: true } as const;
    const taken = await printInProcess(program, printing);
    const oneCore = await printInProcess(program, { ...printing, onCore: 0 });
    const seconds = stageNames.map((name) => taken.stages[name]);
    row(`${page.name}, ${sink}`, [
      ...seconds.map((one) => one.toFixed(2)),
      taken.peakMiB.toFixed(0),
      taken.wallS.toFixed(2),
      oneCore.wallS.toFixed(2),
      (taken.wallS / Math.max(...seconds)).toFixed(2),
    ]);
  }
}

export async function run(args: string[]): Promise<void> {
  const images = join(process.env.PLATEN_SHARED ?? join(import.meta.dirname, "..", "..", "shared"), "images");
  const folder = await mkdtemp(join(tmpdir(), "platen-bench-"));
  try {
    const bundled: Program = ["bundled", await bundlePrinter(join(folder, "app"))];
    const [photo, text] = await bandedPages(images);
    if (args[0] !== "stages") await pages([bundled, ["sources", sourceProgram]], photo, text);
    await stages(bundled, photo, text);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
