import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { idealInks } from "../pixels/ink-table.ts";
import { referenceHalftoner } from "../pixels/reference.ts";
import type { PageStart } from "../ports/engine-driver.ts";
import { readPlane } from "../testing/png.ts";
import { PngSink } from "./png-sink.ts";
import { previewFactor } from "./preview.ts";

const { signal } = new AbortController();
const job = { jobId: "job", jobName: "a test" };

const page = (init: Partial<PageStart>): PageStart => ({
  impressionNumber: 1,
  sheetNumber: 1,
  side: "front",
  lastOfSheet: true,
  widthPx: 400,
  heightPx: 300,
  resolutionDpi: 600,
  colorants: ["cyan", "magenta", "yellow", "black"],
  media: "iso_a4_210x297mm",
  mediaWidthUm: 210_000,
  mediaHeightUm: 297_000,
  ...init,
});

async function openSink() {
  const root = await mkdtemp(join(tmpdir(), "platen-sink-"));
  const sink = new PngSink(root, {
    makeAndModel: "test",
    colorants: ["cyan", "magenta", "yellow", "black"],
    resolutionsDpi: [300, 600, 1200],
    duplex: true,
  });
  return {
    root,
    sink,
    folder: join(root, "job"),
    async [Symbol.asyncDispose]() {
      await sink[Symbol.asyncDispose]();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Prints a page of one colour in bands of `rowsPx`. Resolves to the planes as they were written, as hexadecimal. */
async function printFlat(sink: PngSink, start: PageStart, [r, g, b]: readonly number[], rowsPx = 32) {
  const { widthPx, heightPx } = start;
  const halftoner = referenceHalftoner("shiau-fan", idealInks(), widthPx, "cmyk");
  const written = new Map<string, string>(start.colorants.map((colorant) => [colorant, ""]));
  const rgb = Uint8Array.from({ length: widthPx * rowsPx * 3 }, (_, i) => [r, g, b][i % 3]!);
  await sink.startPage(start, signal);
  for (let yPx = 0; yPx < heightPx; yPx += rowsPx) {
    const rows = Math.min(rowsPx, heightPx - yPx);
    const planes = halftoner.band("color", rgb.subarray(0, widthPx * rows * 3), rows);
    for (const [colorant, text] of written) {
      const bits = planes.find((plane) => plane.colorant === colorant)?.bits;
      written.set(
        colorant,
        text + Buffer.from(bits ?? new Uint8Array(rows * halftoner.strideBytes)).toString("hex"),
      );
    }
    await sink.writeBand({ yPx, rowsPx: rows, strideBytes: halftoner.strideBytes, planes }, signal);
  }
  await sink.endPage(signal);
  return written;
}

const linear = (value: number): number => {
  const v = value / 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
};

test("planes are PNGs of one bit a pixel with the page's resolution, and hold the dots that were written", async () => {
  await using opened = await openSink();
  await opened.sink.startJob(job, signal);
  const written = await printFlat(opened.sink, page({ widthPx: 397, heightPx: 101 }), [120, 60, 200], 13);
  for (const [colorant, hex] of written) {
    const path = join(opened.folder, `sheet-0001-front-${colorant}.png`);
    expect(await readPlane(path)).toBe(hex);
    const { width, height, bitsPerSample, density } = await sharp(path).metadata();
    expect({ width, height, bitsPerSample, density }).toEqual({
      width: 397,
      height: 101,
      bitsPerSample: 1,
      density: 600,
    });
  }
});

describe("the preview", () => {
  test.each([
    [300, [200, 100, 50]],
    [600, [30, 140, 90]],
    [600, [128, 128, 128]],
    [1200, [250, 240, 20]],
    [600, [255, 255, 255]],
    [600, [0, 0, 0]],
  ] as const)("at %i dpi shows %j as its dots do, averaged in linear light", async (resolutionDpi, color) => {
    await using opened = await openSink();
    await opened.sink.startJob(job, signal);
    await printFlat(opened.sink, page({ resolutionDpi }), color, 37);
    const preview = sharp(join(opened.folder, "sheet-0001-front.png"));
    const { width, height, density } = await preview.metadata();
    const factor = resolutionDpi / 150;
    expect({ width, height, density }).toEqual({
      width: Math.ceil(400 / factor),
      height: Math.ceil(300 / factor),
      density: 150,
    });
    const pixels = await preview.raw().toBuffer();
    for (let channel = 0; channel < 3; channel++) {
      let light = 0;
      for (let i = channel; i < pixels.length; i += 3) light += linear(pixels[i]!);
      expect(Math.abs(light / (pixels.length / 3) - linear(color[channel]!))).toBeLessThan(0.006);
    }
  });

  test("averages what there is at edges that its pixels do not divide", async () => {
    await using opened = await openSink();
    await opened.sink.startJob(job, signal);
    await printFlat(opened.sink, page({ widthPx: 9, heightPx: 5 }), [255, 0, 0], 3);
    const { data, info } = await sharp(join(opened.folder, "sheet-0001-front.png"))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([3, 2]);
    expect([...data]).toEqual(Array.from({ length: 18 }, (_, i) => (i % 3 === 0 ? 255 : 0)));
  });

  test("is nearest to 150 dpi that whole dots allow", () => {
    expect([150, 200, 300, 360, 600, 720, 1200, 2400].map(previewFactor)).toEqual([1, 1, 2, 2, 4, 4, 8, 8]);
  });
});

describe("what has its name is a whole sheet", () => {
  test("names come with the last side, and nothing else is left", async () => {
    await using opened = await openSink();
    await opened.sink.startJob(job, signal);
    await printFlat(opened.sink, page({ lastOfSheet: false }), [9, 9, 9]);
    const named = async () => (await readdir(opened.folder)).filter((name) => !/^\.|\.part$/.test(name));
    expect(await named()).toEqual([]);
    await printFlat(opened.sink, page({ side: "back" }), [9, 9, 9]);
    const sides = ["back", "front"].flatMap((side) =>
      ["-black.png", "-cyan.png", "-magenta.png", "-yellow.png", ".png"].map(
        (end) => `sheet-0001-${side}${end}`,
      ),
    );
    expect((await readdir(opened.folder)).sort()).toEqual([".sheets-stacked", ...sides]);
  });

  test("a job given up before its first sheet leaves no folder; one with sheets keeps them", async () => {
    await using opened = await openSink();
    await opened.sink.startJob(job, signal);
    await opened.sink.startPage(page({}), signal);
    await opened.sink.abort();
    expect(await readdir(opened.root)).toEqual([]);
    await opened.sink.startJob(job, signal);
    await printFlat(opened.sink, page({ sheetNumber: 1 }), [0, 0, 0]);
    await opened.sink.abort();
    const names = await readdir(opened.folder);
    expect(names).toContain("sheet-0001-front.png");
    await opened.sink.startJob(job, signal);
    await opened.sink.startPage(page({ sheetNumber: 2 }), signal);
    await opened.sink.abort();
    expect(await readdir(opened.folder), "and nothing of the sheet under way").toEqual(names);
  });

  test("what a controller that was killed left is removed when the job begins again", async () => {
    await using opened = await openSink();
    await opened.sink.startJob(job, signal);
    await printFlat(opened.sink, page({}), [9, 9, 9]);
    await writeFile(join(opened.folder, "sheet-0002-front.png.part"), "half");
    expect(await opened.sink.startJob(job, signal)).toBe(1);
    expect(await readdir(opened.folder)).not.toContain("sheet-0002-front.png.part");
  });
});

describe("a disk that does not take it", () => {
  test("a folder that cannot be made fails the job's start", async () => {
    await using opened = await openSink();
    await writeFile(opened.folder, "in the way");
    await expect(opened.sink.startJob(job, signal)).rejects.toThrow();
  });

  test("a folder that goes away fails the page, and the next job prints", async () => {
    await using opened = await openSink();
    await opened.sink.startJob(job, signal);
    await rm(opened.folder, { recursive: true });
    await expect(printFlat(opened.sink, page({}), [9, 9, 9])).rejects.toThrow("ENOENT");
    await opened.sink.abort();
    await opened.sink.startJob({ ...job, jobId: "next" }, signal);
    await printFlat(opened.sink, page({}), [9, 9, 9]);
  });
});

test("a job id that could lead out of the folder is refused", async () => {
  await using opened = await openSink();
  for (const jobId of ["..", "a/b", "", "a".repeat(65)]) {
    await expect(opened.sink.startJob({ ...job, jobId }, signal)).rejects.toMatchObject({
      code: "invalid-argument",
    });
  }
});
