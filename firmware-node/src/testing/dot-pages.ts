/** Pages for halftoners, and what they make of them, for tests. */
import * as fc from "fast-check";
import type { BandKind, Colorant, Halftoner } from "../pixels/halftoner.ts";

export interface TestBand {
  readonly kind: BandKind;
  readonly pixels: Uint8Array;
  readonly rows: number;
}

export interface TestPage {
  readonly width: number;
  readonly bands: readonly TestBand[];
}

/** What a halftoner makes of bands, one text a band. */
export const dotsOfBands = (halftoner: Halftoner, bands: readonly TestBand[]): string[] =>
  bands.map(({ kind, pixels, rows }) =>
    halftoner
      .band(kind, pixels, rows)
      .map(({ colorant, bits }) => `${colorant} ${Buffer.from(bits).toString("hex")}`)
      .join("\n"),
  );

/** Dots of one colorant of a page of one band, one byte a dot, row by row. */
export function dotsOf(halftoner: Halftoner, width: number, band: TestBand, colorant: Colorant): Uint8Array {
  const bits = halftoner.band(band.kind, band.pixels, band.rows).find((p) => p.colorant === colorant)?.bits;
  const stride = halftoner.strideBytes;
  return Uint8Array.from({ length: width * band.rows }, (_, i) => {
    const x = i % width;
    return bits ? (bits[Math.floor(i / width) * stride + (x >> 3)]! >> (7 - (x & 7))) & 1 : 0;
  });
}

/** A band of one sRGB colour. */
export const flatBand = (width: number, rows: number, color: readonly number[]): TestBand => ({
  kind: "color",
  pixels: Uint8Array.from({ length: width * rows * 3 }, (_, i) => color[i % 3]!),
  rows,
});

const byte = fc.integer({ min: 0, max: 255 });
const edgeByte = fc.oneof(fc.constantFrom(0, 1, 127, 128, 254, 255), byte);
const pixel = fc.oneof(
  { weight: 2, arbitrary: fc.tuple(byte, byte, byte) },
  { weight: 1, arbitrary: fc.tuple(edgeByte, edgeByte, edgeByte) },
  { weight: 2, arbitrary: edgeByte.map((v) => [v, v, v]) },
  { weight: 2, arbitrary: fc.constantFrom([255, 255, 255], [0, 0, 0]) },
);

/** Runs of one pixel, from lone ones to more than the 64 pixels that a kernel may skip at once. */
const runs = fc.array(
  fc.tuple(pixel, fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 20 }), fc.constant(90))),
  { minLength: 1, maxLength: 24 },
);

function bandOf(
  kind: BandKind,
  width: number,
  rows: number,
  pattern: readonly [number[], number][],
): TestBand {
  const channels = kind === "grey" ? 1 : 3;
  const pixels = new Uint8Array(kind === "blank" ? 0 : width * rows * channels);
  for (let at = 0; at < pixels.length; ) {
    for (const [color, count] of pattern) {
      for (let i = 0; i < count && at < pixels.length; i++) {
        pixels.set(color.slice(0, channels), at);
        at += channels;
      }
    }
  }
  return { kind, pixels, rows };
}

/** Pages of a few bands of any kind, one pixel wide or wider than the kernel's chunks, with rows in groups or beyond them. */
export const arbitraryPage: fc.Arbitrary<TestPage> = fc
  .oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 80 }) },
    { weight: 1, arbitrary: fc.integer({ min: 500, max: 1100 }) },
  )
  .chain((width) =>
    fc
      .array(
        fc
          .tuple(
            fc.constantFrom<BandKind>("color", "color", "color", "grey", "blank"),
            fc.integer({ min: 1, max: 21 }),
            runs,
          )
          .map(([kind, rows, pattern]) => bandOf(kind, width, rows, pattern as [number[], number][])),
        { minLength: 1, maxLength: 4 },
      )
      .map((bands) => ({ width, bands })),
  );

/** The same page as one band of sRGB. */
export function asOneBand({ width, bands }: TestPage): TestBand {
  const rows = bands.reduce((sum, band) => sum + band.rows, 0);
  const pixels = new Uint8Array(rows * width * 3).fill(255);
  let at = 0;
  for (const band of bands) {
    if (band.kind === "color") pixels.set(band.pixels, at);
    if (band.kind === "grey")
      for (const [i, v] of band.pixels.entries()) pixels.fill(v, at + i * 3, at + i * 3 + 3);
    at += band.rows * width * 3;
  }
  return { kind: "color", pixels, rows };
}
