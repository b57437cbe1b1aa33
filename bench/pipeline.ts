/**
 * `npm run bench -- pipeline [stages|line]`: what printing a page takes of the controller, what of it each stage, and how that
 * compares with a line that takes its time. The real `platen-printer` prints from a result
 * store beside it, bundled as on the board and as it stands in the sources. A4 at 600 dpi, and a roll of ten metres. The photo
 * comes from PLATEN_SHARED (default ../shared)/images.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundlePrinter, sourceProgram } from "./pipeline/bundle.ts";
import { type BandedPage, bandedPages, roll } from "./pipeline/pages.ts";
import { type Printing, printInProcess, stageNames, type Taken } from "./pipeline/printing.ts";
import { sharedFolder } from "./support/shared.ts";

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

/** Of a job, enough that its pages follow each other. */
const pageCount = 8;

/** Seconds of a page that follows another one. */
const nextSeconds = ({ wallS, firstS }: Taken, count: number): number => (wallS - firstS) / (count - 1);

/**
 * CPU seconds a page of each stage in a printer that has printed before: with an engine on a serial line that takes no time, and
 * with one that counts dots in the printer itself and has no line. How long the first page of a job lasts, and one that follows
 * another, where the stages overlap, and how much of all cores works then, of this process and the engine's too; and a page where all
 * threads share one core.
 */
async function stages([, program]: Program, photo: BandedPage, text: BandedPage): Promise<void> {
  row("\nstages, bundled", [
    ...stageNames,
    "peak MiB",
    "first s",
    "next s",
    "÷ slowest",
    "busy %",
    "1 core s",
  ]);
  for (const [page, sink] of [
    [photo, "sim"],
    [text, "sim"],
    [photo, "serial"],
    [text, "serial"],
  ] as const) {
    const printing = { pages: Array.from({ length: pageCount }, () => page), sink, warm: true } as const;
    const taken = await printInProcess(program, printing);
    const oneCore = await printInProcess(program, { ...printing, onCore: 0 });
    const seconds = stageNames.map((name) => taken.stages[name] / pageCount);
    const nextS = nextSeconds(taken, pageCount);
    row(`${page.name}, ${sink}`, [
      ...seconds.map((one) => one.toFixed(2)),
      taken.peakMiB.toFixed(0),
      taken.firstS.toFixed(2),
      nextS.toFixed(2),
      (nextS / Math.max(...seconds)).toFixed(2),
      (100 * taken.busyShare).toFixed(0),
      (oneCore.wallS / pageCount).toFixed(2),
    ]);
  }
}

/** Pages over a line that takes its time, which is then the slowest stage. */
async function line([, program]: Program, photo: BandedPage, text: BandedPage): Promise<void> {
  const baudRateBps = 3_000_000;
  row("\nline of 3 Mbit/s, bundled", ["peak MiB", "first s", "next s", "line s", "÷ line"]);
  for (const [page, count] of [
    [photo, 2],
    [text, pageCount],
  ] as const) {
    const pages = Array.from({ length: count }, () => page);
    const taken = await printInProcess(program, { pages, sink: "serial", baudRateBps });
    // Ten bits a byte.
    const lineS = (taken.lineBytes * 10) / baudRateBps / count;
    row(page.name, [
      taken.peakMiB.toFixed(0),
      taken.firstS.toFixed(2),
      nextSeconds(taken, count).toFixed(2),
      lineS.toFixed(2),
      (nextSeconds(taken, count) / lineS).toFixed(2),
    ]);
  }
}

export async function run(args: string[]): Promise<void> {
  const images = join(sharedFolder, "images");
  const folder = await mkdtemp(join(tmpdir(), "platen-bench-"));
  try {
    const bundled: Program = ["bundled", await bundlePrinter(join(folder, "app"))];
    const [photo, text] = await bandedPages(images);
    if (args[0] === undefined) await pages([bundled, ["sources", sourceProgram]], photo, text);
    if (args[0] !== "line") await stages(bundled, photo, text);
    if (args[0] !== "stages") await line(bundled, photo, text);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
