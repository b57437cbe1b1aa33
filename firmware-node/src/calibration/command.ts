/** The `calibrate` command: prints the chart, reads it back, and writes the calibration file. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileTrouble, PlatenError } from "@platen/proto";
import { type Command, InvalidArgumentError } from "commander";
import type { Scan } from "@platen/hw";
import { curvesOf, type Wedges } from "../color/calibration.ts";
import { parseCalibration } from "../color/calibration-file.ts";
import type { Colorant } from "../pixels/halftoner.ts";
import { deviation, type Measurement, parseMeasurements, wedgesOf } from "./measurements.ts";

const help = `
Calibration makes each ink cover as much as it is asked to:
  platen-printer calibrate wedge --sink serial:/dev/ttyUSB0        # prints the chart
  platen-printer calibrate read scan.png --out plain.json          # measures its scan, or a densitometer's values.csv
  platen-printer calibrate wedge --sink serial:/dev/ttyUSB0 --through plain.json
  platen-printer calibrate read check.png                          # says how straight the curves have become
  platen-printer … --calibration plain.json

Scan flat and whole, from 75 dpi on, in sRGB, with all of the scanner's corrections off. Values of a densitometer are CSV, one
line a patch: ink,asked,density (or ink,asked,reflectance), asked in percent.

  platen-printer calibrate simulate --out try                      # all of it with a simulated engine and scanner`;

const allInks: readonly Colorant[] = ["cyan", "magenta", "yellow", "black"];
const inksOf = (mono: boolean | undefined): readonly Colorant[] => (mono ? ["black"] : allInks);

function number(text: string): number {
  const value = Number(text);
  if (text.trim() && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("It must be a number above 0.");
}

/** Width and height of a medium by its PWG 5101.1 name, micrometres. */
function sizeOf(media: string): { mediaWidthUm: number; mediaHeightUm: number } {
  const [, width, height, unit] = /_([0-9.]+)x([0-9.]+)(in|mm)$/.exec(media) ?? [];
  const um = (length = "") => Math.round(Number.parseFloat(length) * (unit === "in" ? 25_400 : 1000));
  if (!unit)
    throw new PlatenError("invalid-argument", `${media} is no name of a medium such as iso_a4_210x297mm`);
  return { mediaWidthUm: um(width), mediaHeightUm: um(height) };
}

const say = (line: string): void => void process.stdout.write(`platen-printer: ${line}\n`);

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

function tell(wedges: Wedges): void {
  for (const ink of allInks) {
    const wedge = wedges[ink];
    if (!wedge) continue;
    const { mean, max } = deviation(wedge);
    say(`${ink}: ${percent(mean)} off on average, ${percent(max)} at most`);
  }
}

async function readBytes(file: string): Promise<Buffer> {
  return readFile(file).catch((cause: Error) => {
    throw new PlatenError("invalid-argument", `cannot read ${file}: ${fileTrouble(cause)}`, { cause });
  });
}

interface WedgeOptions {
  sink: string;
  media: string;
  resolution: number;
  through?: string;
  mono?: boolean;
  stateDir: string;
}

async function wedge(options: WedgeOptions): Promise<void> {
  const { sink, media, resolution, through, mono = false, stateDir } = options;
  const job = { jobId: `calibration-${Date.now()}`, media, ...sizeOf(media), resolutionDpi: resolution };
  const curves =
    through === undefined
      ? undefined
      : curvesOf(parseCalibration((await readBytes(through)).toString("utf8")));
  const { openSink } = await import("../adapters/sinks.ts");
  const { printWedge } = await import("./print-wedge.ts");
  await using driver = await openSink(sink, {
    stateDir,
    mono,
    resolutionsDpi: [resolution],
    duplex: false,
    mustAnswer: true,
  });
  if (!driver.capabilities.resolutionsDpi.includes(resolution)) {
    const all = driver.capabilities.resolutionsDpi.join(", ");
    throw new PlatenError("invalid-argument", `the engine prints at ${all} dpi, not at ${resolution}`);
  }
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  await printWedge(driver, { ...job, ...(curves && { curves }) }, stop.signal);
  const where = driver.outputLocation(job.jobId);
  say(`the chart is printed${where ? ` to ${where}` : ""}${through ? `, through ${through}` : ""}`);
}

/** Measurements of a CSV file or a scan. */
async function measure(file: string, mono: boolean | undefined): Promise<Measurement[]> {
  const bytes = await readBytes(file);
  if (/\.csv$/i.test(file)) return parseMeasurements(bytes.toString("utf8"));
  const { readChart } = await import("./read-chart.ts");
  const { default: sharp } = await import("sharp");
  const { data, info } = await sharp(bytes, { limitInputPixels: 200e6 })
    .flatten({ background: "white" })
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((cause: Error) => {
      throw new PlatenError("invalid-argument", `${file} is no picture: ${cause.message}`, { cause });
    });
  return readChart({ widthPx: info.width, heightPx: info.height, pixels: data }, inksOf(mono));
}

interface ReadOptions {
  out?: string;
  plot?: string;
  yuleNielsen: number;
  mono?: boolean;
}

async function read(file: string, { out, plot, yuleNielsen, mono }: ReadOptions): Promise<void> {
  const wedges = wedgesOf(await measure(file, mono), yuleNielsen);
  tell(wedges);
  if (out !== undefined) {
    const { calibrationFile } = await import("./calibrate.ts");
    await writeFile(out, calibrationFile(wedges));
    say(`the calibration is in ${out}: print with --calibration ${out}`);
  }
  if (plot !== undefined) {
    const { tonePlot } = await import("./plot.ts");
    await writeFile(plot, tonePlot([{ title: "As measured", wedges }]));
  }
}

async function writePng(file: string, { widthPx, heightPx, pixels }: Scan): Promise<void> {
  const { default: sharp } = await import("sharp");
  const raw = { width: widthPx, height: heightPx, channels: 3 } as const;
  await sharp(pixels, { raw }).png().toFile(file);
}

async function simulate({
  out,
  resolution,
  mono,
}: {
  out: string;
  resolution: number;
  mono?: boolean;
}): Promise<void> {
  const { calibrateSimulated, calibrationFile } = await import("./calibrate.ts");
  const { tonePlot } = await import("./plot.ts");
  const media = "iso_a4_210x297mm";
  const job = { jobId: "calibration", media, ...sizeOf(media), resolutionDpi: resolution };
  const { before, after, scans } = await calibrateSimulated(job, inksOf(mono), new AbortController().signal);
  await mkdir(out, { recursive: true });
  await writeFile(join(out, "calibration.json"), calibrationFile(before));
  const panels = [
    { title: "Before", wedges: before },
    { title: "After, printed through the curves", wedges: after },
  ];
  await writeFile(join(out, "tone.svg"), tonePlot(panels));
  await writePng(join(out, "scan-before.png"), scans.before);
  await writePng(join(out, "scan-after.png"), scans.after);
  say("before:");
  tell(before);
  say("after:");
  tell(after);
  say(`calibration, scans and plot are in ${out}`);
}

/** Adds the command and its parts. */
export function addCalibrate(program: Command): void {
  const calibrate = program
    .command("calibrate")
    .description("print and read step wedges, and make the calibration file of them")
    .enablePositionalOptions()
    .addHelpText("after", help);
  const stateDir = join(process.env["XDG_STATE_HOME"] || join(homedir(), ".local", "state"), "platen");
  calibrate
    .command("wedge")
    .description("print the chart")
    .requiredOption("--sink <sink>", "the engine, as platen-printer --help says it")
    .option("--media <name>", "PWG name of the medium", "iso_a4_210x297mm")
    .option("--resolution <dpi>", "dots an inch", number, 600)
    .option("--through <file>", "print through the curves of a calibration, to check it")
    .option("--mono", "the engine has black alone")
    .option("--state-dir <dir>", "folder for what is stacked", stateDir)
    .action(wedge);
  calibrate
    .command("read")
    .description(
      "measure a scan of the chart, or take a densitometer's values, and write the calibration file",
    )
    .argument("<file>", "the scan (PNG, JPEG, TIFF), or values as .csv")
    .option("--out <file>", "the calibration file to write; without it the curves are only judged")
    .option("--plot <file>", "draw the tone curves, SVG")
    .option(
      "--yule-nielsen <n>",
      "light that is scattered under dots counts as coverage (1), or not (up to 2)",
      number,
      1,
    )
    .option("--mono", "the chart of an engine that has black alone")
    .action(read);
  calibrate
    .command("simulate")
    .description("print, read and print again with a simulated engine, and draw before and after")
    .requiredOption("--out <dir>", "folder for calibration.json, tone.svg and the scans")
    .option("--resolution <dpi>", "dots an inch", number, 600)
    .option("--mono", "the engine has black alone")
    .action(simulate);
}
