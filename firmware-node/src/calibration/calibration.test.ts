import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { run } from "../cli.ts";
import { curvesOf, linearisation } from "../color/calibration.ts";
import { parseCalibration } from "../color/calibration-file.ts";
import type { Colorant } from "../pixels/halftoner.ts";
import { calibrateSimulated, calibrationFile, type SimulatedCalibration } from "./calibrate.ts";
import { chartOf, steps } from "./chart.ts";
import { deviation, type Measurement, neverFalling, parseMeasurements, wedgesOf } from "./measurements.ts";
import { tonePlot } from "./plot.ts";
import { type Picture, readChart } from "./read-chart.ts";

const inks: readonly Colorant[] = ["cyan", "magenta", "yellow", "black"];
const a4 = { media: "iso_a4_210x297mm", mediaWidthUm: 210_000, mediaHeightUm: 297_000 };
const job = { jobId: "wedge", ...a4, resolutionDpi: 150 };
const never = new AbortController().signal;

let done: SimulatedCalibration;
beforeAll(async () => {
  done = await calibrateSimulated(job, inks, never);
}, 30_000);

describe("the loop with an engine whose dots spread", () => {
  test("finds every ink's gain, and brings the tone within 1 % of what was asked", () => {
    for (const ink of inks) {
      expect(deviation(done.before[ink]!).max).toBeGreaterThan(0.2);
      expect(deviation(done.after[ink]!).max).toBeLessThan(0.01);
      expect(deviation(done.after[ink]!).mean).toBeLessThan(0.003);
    }
  });

  test("does so for an engine that has black alone", async () => {
    const { before, after } = await calibrateSimulated(job, ["black"], never);
    expect(Object.keys(before)).toEqual(["black"]);
    expect(deviation(before.black!).max).toBeGreaterThan(0.2);
    expect(deviation(after.black!).max).toBeLessThan(0.015);
  });

  test("writes a file that --calibration reads", () => {
    const curves = curvesOf(parseCalibration(calibrationFile(done.before)));
    for (const [i, ink] of inks.entries()) {
      for (const wanted of [0.1, 0.5, 0.9]) {
        expect(curves[i]!(wanted)).toBe(linearisation(done.before[ink]!)(wanted));
        expect(curves[i]!(wanted)).toBeLessThan(wanted);
      }
    }
  });

  test("draws a curve for each ink, before and after", () => {
    const svg = tonePlot([
      { title: "Before", wedges: done.before },
      { title: "After", wedges: done.after },
    ]);
    expect(svg.match(/<polyline/g)).toHaveLength(8);
    expect(svg).toContain("black: at most");
  });

  test("needs media that hold the chart", async () => {
    const small = { ...job, media: "iso_a5_148x210mm", mediaWidthUm: 148_000, mediaHeightUm: 210_000 };
    await expect(calibrateSimulated(small, inks, never)).rejects.toMatchObject({
      code: "invalid-argument",
      message: expect.stringContaining("190 × 180 mm"),
    });
  });
});

describe("a scan of the chart", () => {
  const changed = async (change: (image: Sharp) => Sharp): Promise<Picture> => {
    const { widthPx, heightPx, pixels } = done.scans.before;
    const image = sharp(pixels, { raw: { width: widthPx, height: heightPx, channels: 3 } });
    const { data, info } = await change(image).raw().toBuffer({ resolveWithObject: true });
    return { widthPx: info.width, heightPx: info.height, pixels: data };
  };
  const background = { r: 240, g: 240, b: 240 };

  test.each<[string, (image: Sharp) => Sharp]>([
    ["upside down", (image) => image.rotate(180)],
    ["on its left side", (image) => image.rotate(90)],
    ["on its right side", (image) => image.rotate(270)],
    ["askew", (image) => image.rotate(1.5, { background })],
    ["at another resolution", (image) => image.resize(830, 1174)],
    ["on a larger glass", (image) => image.extend({ left: 45, top: 10, right: 5, bottom: 100, background })],
  ])("is read the same %s", async (_, change) => {
    const wedges = wedgesOf(readChart(await changed(change), inks));
    for (const ink of inks) {
      for (const [i, { asked, measured }] of wedges[ink]!.entries()) {
        const expected = done.before[ink]![i]!;
        expect(asked).toBe(expected.asked);
        // Turning and resizing mix neighbours by their sRGB numbers, not by their light. A patch taken for another is far off.
        expect(Math.abs(measured - expected.measured)).toBeLessThan(0.03);
      }
    }
  });

  test.each<[string, (image: Sharp) => Sharp, readonly Colorant[], RegExp]>([
    [
      "that is cut off",
      (image) => image.extract({ left: 0, top: 0, width: 620, height: 550 }),
      inks,
      /marks|rectangle/,
    ],
    ["of blank paper", (image) => image.linear(0, 250), inks, /four marks/],
    ["that is a mirror image", (image) => image.flop(), inks, /top|back/],
    ["of another engine's chart", (image) => image, ["black"], /as far apart/],
  ])("%s is refused", async (_, change, of, message) => {
    const picture = await changed(change);
    const refused = expect.objectContaining({
      code: "invalid-argument",
      message: expect.stringMatching(message),
    });
    expect(() => wedgesOf(readChart(picture, of))).toThrow(refused);
  });
});

describe("measured values", () => {
  const csv = (name: string, value: (asked: number) => number): string =>
    [`ink,asked,${name}`, ...steps.map((asked) => `black,${asked * 100},${value(asked)}`), ""].join("\n");

  test("of a densitometer are read as densities, those of a spectrophotometer as reflectances", () => {
    const straight = (asked: number): number => 0.85 - 0.8 * asked;
    for (const text of [
      csv("reflectance", straight),
      csv("density", (asked) => -Math.log10(straight(asked))),
    ]) {
      expect(deviation(wedgesOf(parseMeasurements(text)).black!).max).toBeLessThan(1e-6);
    }
  });

  test("are taken after Yule and Nielsen where light that scatters shall not count", () => {
    const scattering = (asked: number): number => 0.85 * (1 - asked * (1 - 0.05 ** (1 / 1.8))) ** 1.8;
    const measured = parseMeasurements(csv("reflectance", scattering));
    expect(deviation(wedgesOf(measured, 1.8).black!).max).toBeLessThan(0.001);
    expect(deviation(wedgesOf(measured).black!).max).toBeGreaterThan(0.1);
  });

  const wedge = (reflectance: (asked: number, i: number) => number, asked = steps): Measurement[] =>
    asked.map((step, i) => ({ ink: "black", asked: step, reflectance: reflectance(step, i) }));
  const line = (asked: number): number => 0.85 - 0.8 * asked;

  test("that waver by noise make a wedge that rises, closer to the truth than they were", () => {
    const noise = (i: number): number => 0.012 * Math.sin(i * 12.9898);
    const even = wedgesOf(wedge((asked, i) => line(asked) + (asked % 1 ? noise(i) : 0))).black!;
    for (const [i, { measured }] of even.entries()) {
      if (i) expect(measured).toBeGreaterThanOrEqual(even[i - 1]!.measured);
    }
    expect(deviation(even).max).toBeLessThan(0.015);
  });

  test.each([
    ["no patch", [], /nothing/],
    ["too few steps", wedge(line, [0, 0.25, 0.5, 0.75, 1]), /5 steps/],
    ["no paper", wedge(line, steps.slice(1)), /both 0 and 100/],
    ["no solid ink", wedge(line, steps.slice(0, -1)), /both 0 and 100/],
    ["an ink that is not there", wedge((asked) => 0.8 - 0.01 * asked), /hardly darker/],
    ["lights that are clipped", wedge((asked) => Math.min(1, 1.2 - asked)), /clipped at 0, 1/],
    ["shadows that are clipped", wedge((asked) => Math.max(0, 0.8 - asked)), /clipped at 80, 85/],
    [
      "tones that turn back",
      wedge((asked) => line(asked) - (asked > 0.3 && asked < 0.6 ? 0.3 : 0)),
      /turns back/,
    ],
  ])("%s: refused", (_, measurements, message) => {
    const refused = expect.objectContaining({
      code: "invalid-argument",
      message: expect.stringMatching(message),
    });
    expect(() => wedgesOf(measurements)).toThrow(refused);
  });

  test.each([
    ["no header", "black,0,0.8\n", /begin with/],
    ["an unknown ink", "ink,asked,density\ngold,0,0.1\n", /line 2/],
    ["more than all", "ink,asked,density\nblack,0,0.1\nblack,101,1\n", /line 3/],
    ["no number", "ink,asked,density\nblack,0,dark\n", /line 2/],
  ])("a CSV with %s is refused", (_, text, message) => {
    const refused = expect.objectContaining({
      code: "invalid-argument",
      message: expect.stringMatching(message),
    });
    expect(() => parseMeasurements(text)).toThrow(refused);
  });

  test("the nearest values that never fall are means of those that do", () => {
    expect(neverFalling([1, 3, 2, 4], [1, 1, 1, 1])).toEqual([1, 2.5, 2.5, 4]);
    expect(neverFalling([3, 1, 2], [1, 3, 1])).toEqual([1.5, 1.5, 2]);
  });
});

test("the chart has every step of every ink twice, in no order", () => {
  const { patches } = chartOf(inks);
  for (const ink of inks) {
    const own = patches.filter((patch) => patch.ink === ink).map(({ asked }) => asked);
    expect(own.toSorted((a, b) => a - b)).toEqual(steps.flatMap((step) => [step, step]));
    expect(own).not.toEqual(own.toSorted((a, b) => a - b));
  }
});

describe("platen-printer calibrate", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "platen-calibrate-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** Runs the command; resolves to its exit code and what it said. */
  const command = async (...args: string[]): Promise<[number, string]> => {
    const said: string[] = [];
    const hear = (text: string | Uint8Array): boolean => said.push(String(text)) > 0;
    const spies = [process.stdout, process.stderr].map((stream) =>
      vi.spyOn(stream, "write").mockImplementation(hear),
    );
    try {
      return [await run(["calibrate", ...args]), said.join("")];
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
  };

  test("prints the chart, reads a scan of it, writes the calibration, and prints through it", async () => {
    const scan = join(folder, "scan.png");
    const { widthPx, heightPx, pixels } = done.scans.before;
    await sharp(pixels, { raw: { width: widthPx, height: heightPx, channels: 3 } })
      .png()
      .toFile(scan);
    const [out, plot] = [join(folder, "plain.json"), join(folder, "tone.svg")];
    expect(await command("read", scan, "--out", out, "--plot", plot)).toEqual([
      0,
      expect.stringContaining("black: "),
    ]);
    expect(await readFile(out, "utf8")).toBe(calibrationFile(done.before));
    expect(await readFile(plot, "utf8")).toContain("<svg");

    const sheets = join(folder, "sheets");
    const wedge = ["wedge", "--sink", `png:${sheets}`, "--resolution", "72"];
    const [code, said] = await command(...wedge, "--through", out);
    expect([code, said]).toEqual([0, expect.stringContaining(sheets)]);
    const [printed] = await readdir(sheets);
    expect(await readdir(join(sheets, printed!))).toContain("sheet-0001-front-cyan.png");
  });

  test.each([
    ["a scan that is none", ["read", "text.png"], /no picture/],
    ["a scan that is not there", ["read", "nowhere.png"], /cannot read/],
    ["media without a size", ["wedge", "--sink", "png:x", "--media", "a4"], /no name of a medium/],
    ["a sink that is none", ["wedge", "--sink", "paper"], /none of png:DIR/],
    ["a calibration that is none", ["wedge", "--sink", "png:x", "--through", "text.png"], /not JSON/],
  ])("%s: refused in one line", async (_, [part, ...args], message) => {
    await writeFile(join(folder, "text.png"), "no picture");
    const placed = args.map((arg) => (/^(text|nowhere)\.png$/.test(arg) ? join(folder, arg) : arg));
    const [code, said] = await command(part!, ...placed);
    expect([code, said]).toEqual([2, expect.stringMatching(message)]);
    expect(said.trimEnd().split("\n")).toHaveLength(1);
  });
});
