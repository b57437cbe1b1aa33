import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { naiveFloydSteinberg } from "../testing/naive-halftone.ts";
import { type BandKind, type Colorant, makeHalftoner, type ScreenName } from "./halftoner.ts";
import type { Inks } from "./screen.ts";

const screens: ScreenName[] = ["floyd-steinberg", "ordered"];
const colorants: Colorant[] = ["cyan", "magenta", "yellow", "black"];

interface Band {
  kind: BandKind;
  pixels: Uint8Array;
  rows: number;
}

/** Dots of each colorant of a page given as bands, one byte a dot. */
function dotsOf(
  name: ScreenName,
  inks: Inks,
  width: number,
  bands: readonly Band[],
): Map<Colorant, number[]> {
  const halftoner = makeHalftoner(name, width, inks);
  const stride = halftoner.strideBytes;
  const dots = new Map<Colorant, number[]>(colorants.map((colorant) => [colorant, []]));
  for (const { kind, pixels, rows } of bands) {
    const planes = halftoner.band(kind, pixels, rows);
    for (const colorant of colorants) {
      const bits = planes.find((plane) => plane.colorant === colorant)?.bits;
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < stride * 8; x++) {
          const dot = bits ? (bits[y * stride + (x >> 3)]! >> (7 - (x & 7))) & 1 : 0;
          if (x < width) dots.get(colorant)!.push(dot);
          else expect(dot, "a bit beyond the width").toBe(0);
        }
      }
    }
  }
  return dots;
}

const wholePage = (rgb: Uint8Array, width: number): Band[] => [
  { kind: "color", pixels: rgb, rows: rgb.length / width / 3 },
];

/** A flat page of one sRGB colour. */
const flat = (width: number, height: number, [r, g, b]: readonly number[]): Uint8Array =>
  Uint8Array.from({ length: width * height * 3 }, (_, i) => [r, g, b][i % 3]!);

const linear = (value: number): number => {
  const v = value / 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
};

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * How far a square patch may be off. The ordered screen has 256 levels. Error diffusion is exact but for the error that leaves
 * the patch: less than half a dot for each pixel of a side.
 */
const toleranceOf = (name: ScreenName, side: number): number => (name === "ordered" ? 1 / 256 : 0.5 / side);

/** The light that dots leave, averaged: red, green, blue. */
function seen(dots: ReadonlyMap<Colorant, number[]>): number[] {
  const black = dots.get("black")!;
  return (["cyan", "magenta", "yellow"] as const).map((ink) =>
    mean(dots.get(ink)!.map((dot, i) => (dot || black[i] ? 0 : 1))),
  );
}

/** Pages with all that matters in them: white, black, grey, colour, next to each other, in rows of one kind or mixed. */
const arbitraryPage = fc
  .record({ width: fc.integer({ min: 1, max: 37 }), height: fc.integer({ min: 1, max: 17 }) })
  .chain(({ width, height }) => {
    const channel = fc.oneof(fc.constantFrom(0, 1, 127, 128, 254, 255), fc.integer({ min: 0, max: 255 }));
    const white = fc.constant<number[]>([255, 255, 255]);
    const grey = channel.map((v) => [v, v, v]);
    const color = fc.tuple(channel, channel, channel);
    const rowOf = (pixel: fc.Arbitrary<number[]>) => fc.array(pixel, { minLength: width, maxLength: width });
    const row = fc.oneof(
      rowOf(white),
      rowOf(fc.oneof(white, grey)),
      rowOf(fc.oneof(white, grey, color, color)),
    );
    return fc
      .array(row, { minLength: height, maxLength: height })
      .map((rows) => ({ width, height, rgb: Uint8Array.from(rows.flat(2)) }));
  });

/** The rows from `start` to `end` as a band, in the narrowest kind that holds them, or a wider one. */
function bandOf(rgb: Uint8Array, width: number, start: number, end: number, wider: number): Band {
  const pixels = rgb.subarray(start * width * 3, end * width * 3);
  const rows = end - start;
  const grey = Uint8Array.from({ length: rows * width }, (_, i) => pixels[i * 3]!);
  const isGrey = grey.every((v, i) => pixels[i * 3 + 1] === v && pixels[i * 3 + 2] === v);
  const kinds: Band[] = [{ kind: "color", pixels, rows }];
  if (isGrey) kinds.unshift({ kind: "grey", pixels: grey, rows });
  if (grey.every((v) => v === 255) && isGrey)
    kinds.unshift({ kind: "blank", pixels: new Uint8Array(0), rows });
  return kinds[Math.min(wider, kinds.length - 1)]!;
}

describe.each(screens)("%s", (name) => {
  test.each<Inks>(["k", "cmyk"])(
    "any split into bands of any kind gives the bits of the whole page (%s)",
    (inks) => {
      fc.assert(
        fc.property(
          arbitraryPage,
          fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 2 })), {
            minLength: 17,
            maxLength: 17,
          }),
          ({ width, height, rgb }, cuts) => {
            const bands: Band[] = [];
            for (let y = 0; y < height; ) {
              const [rows, wider] = cuts[bands.length]!;
              const end = Math.min(height, y + rows);
              bands.push(bandOf(rgb, width, y, end, wider));
              y = end;
            }
            expect(dotsOf(name, inks, width, bands)).toEqual(
              dotsOf(name, inks, width, wholePage(rgb, width)),
            );
          },
        ),
        { numRuns: 150 },
      );
    },
  );

  test("white gets no dot, black gets all of black and nothing else, whatever lies around", () => {
    fc.assert(
      fc.property(arbitraryPage, ({ width, rgb }) => {
        const dots = dotsOf(name, "cmyk", width, wholePage(rgb, width));
        for (let i = 0; i * 3 < rgb.length; i++) {
          const [r, g, b] = rgb.subarray(i * 3, i * 3 + 3);
          const laid = colorants.map((colorant) => dots.get(colorant)![i]);
          if (r === 255 && g === 255 && b === 255) expect(laid).toEqual([0, 0, 0, 0]);
          if (r === g && g === b) expect(laid.slice(0, 3)).toEqual([0, 0, 0]);
          if (laid[3]) expect(laid, "no colour lies under black").toEqual([0, 0, 0, 1]);
        }
      }),
      { numRuns: 100 },
    );
    const black = dotsOf(name, "cmyk", 9, wholePage(flat(9, 5, [0, 0, 0]), 9));
    expect(black.get("black")).toEqual(Array(45).fill(1));
  });

  test.each([
    [128, 64, 64],
    [200, 180, 10],
    [20, 90, 160],
    [250, 255, 255],
    [3, 2, 1],
    [255, 0, 255],
    [127, 128, 129],
    [77, 77, 77],
  ])("the dots of a flat patch, averaged in linear light, are its colour: %i %i %i", (...color) => {
    const dots = dotsOf(name, "cmyk", 240, wholePage(flat(240, 240, color), 240));
    const light = seen(dots);
    color.forEach((value, channel) => {
      expect(Math.abs(light[channel]! - linear(value))).toBeLessThan(toleranceOf(name, 240));
    });
  });

  test("a printer with black alone prints a colour by its luminance, and grey as a colour printer does", () => {
    const color = [180, 90, 30];
    const luminance = 0.2126 * linear(180) + 0.7152 * linear(90) + 0.0722 * linear(30);
    const dots = dotsOf(name, "k", 240, wholePage(flat(240, 240, color), 240));
    expect(Math.abs(mean(dots.get("black")!) - (1 - luminance))).toBeLessThan(toleranceOf(name, 240));
    const grey = wholePage(flat(33, 20, [90, 90, 90]), 33);
    expect(dotsOf(name, "k", 33, grey)).toEqual(dotsOf(name, "cmyk", 33, grey));
  });

  test("a ramp grows darker from white to black, and is right in each of its steps", () => {
    const width = 256 * 8;
    const height = 128;
    const ramp = Uint8Array.from({ length: width * height }, (_, i) => (i % width) >> 3);
    const dots = dotsOf(name, "cmyk", width, [{ kind: "grey", pixels: ramp, rows: height }]).get("black")!;
    for (let value = 0; value < 256; value += 15) {
      const columns: number[] = [];
      for (let y = 0; y < height; y++)
        for (let x = 0; x < 8; x++) columns.push(dots[y * width + value * 8 + x]!);
      expect(Math.abs(mean(columns) - (1 - linear(value)))).toBeLessThan(0.03);
    }
  });

  test("a page one pixel wide, and one of no more than a pixel", () => {
    const line = dotsOf(name, "cmyk", 1, wholePage(flat(1, 64, [0, 0, 0]), 1));
    expect(line.get("black")).toEqual(Array(64).fill(1));
    const point = dotsOf(name, "cmyk", 1, wholePage(Uint8Array.of(0, 255, 255), 1));
    expect(colorants.map((colorant) => point.get(colorant)![0])).toEqual([1, 0, 0, 0]);
  });

  test("planes without a dot are left out, and buffers are used again", () => {
    const halftoner = makeHalftoner(name, 16, "cmyk");
    expect(halftoner.band("blank", new Uint8Array(0), 1000)).toEqual([]);
    const black = halftoner.band("grey", new Uint8Array(16 * 4), 4);
    expect(black.map(({ colorant }) => colorant)).toEqual(["black"]);
    expect(black[0]!.bits).toEqual(new Uint8Array(8).fill(255));
    const cyan = halftoner.band("color", flat(16, 2, [0, 255, 255]), 2);
    expect(cyan.map(({ colorant }) => colorant)).toEqual(["cyan"]);
    expect(cyan[0]!.bits).toEqual(new Uint8Array(4).fill(255));
    expect(halftoner.band("color", flat(16, 1, [255, 255, 255]), 1)).toEqual([]);
    expect(halftoner.band("grey", new Uint8Array(16), 1)[0]!.bits.buffer).toBe(black[0]!.bits.buffer);
  });
});

test("floyd-steinberg is what its description says, dot for dot", () => {
  fc.assert(
    fc.property(arbitraryPage, ({ width, height, rgb }) => {
      const [black, cyan, magenta, yellow] = naiveFloydSteinberg(rgb, width, height);
      const dots = dotsOf("floyd-steinberg", "cmyk", width, wholePage(rgb, width));
      expect(dots.get("black")).toEqual([...black!]);
      expect(dots.get("cyan")).toEqual([...cyan!]);
      expect(dots.get("magenta")).toEqual([...magenta!]);
      expect(dots.get("yellow")).toEqual([...yellow!]);
    }),
    { numRuns: 200 },
  );
});

test("floyd-steinberg keeps its error within 16 bits on the worst that a page can be", () => {
  // Half a dot more than nothing and half a dot less than all, where each pixel's error is as large as it gets.
  const width = 301;
  const worst = Uint8Array.from({ length: width * 200 * 3 }, (_, i) => ((i * 7919) % 13 < 6 ? 187 : 188));
  const dots = dotsOf("floyd-steinberg", "cmyk", width, wholePage(worst, width));
  const [black] = naiveFloydSteinberg(worst, width, 200);
  expect(dots.get("black")).toEqual([...black!]);
});
