import { describe, expect, test } from "vitest";
import { dotsOf, flatBand } from "../testing/dot-pages.ts";
import { maskSide } from "./blue-noise.ts";
import { full, idealInks, type InkTable, linearOfSrgb } from "./ink-table.ts";
import { orderedDither, orderedThresholds } from "./ordered.ts";
import { referenceHalftoner } from "./reference.ts";

const table = idealInks();
const colorants = ["cyan", "magenta", "yellow", "black"] as const;
const mean = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;

/** Dots of each colorant of a draft in one colour, as many pixels as the thresholds have places. */
const draft = (color: readonly number[], inks: InkTable = table): Uint8Array[] =>
  colorants.map((colorant) =>
    dotsOf(
      referenceHalftoner("ordered", inks, maskSide, "cmyk"),
      maskSide,
      flatBand(maskSide, maskSide, color),
      colorant,
    ),
  );

describe("thresholds", () => {
  test("make of every coverage just so many dots", () => {
    for (const thresholds of orderedThresholds) {
      const counts = new Uint8Array(full);
      for (const threshold of thresholds) counts[threshold]!++;
      expect(counts.every((count) => count === (maskSide * maskSide) / full)).toBe(true);
    }
  });

  test("of two planes meet as chance would have it", () => {
    const shares = [0.1, 0.3, 0.5, 0.8];
    for (const a of [0, 1, 2, 3]) {
      for (const b of [0, 1, 2, 3].filter((plane) => plane < a)) {
        for (const share of shares) {
          for (const other of shares) {
            const both = orderedThresholds[a]!.map((threshold, i) =>
              Number(threshold < share * full && orderedThresholds[b]![i]! < other * full),
            );
            expect(Math.abs(mean(both) - share * other)).toBeLessThan(0.004);
          }
        }
      }
    }
  });
});

test("rows go on where those before ended, also after skipped ones", () => {
  const rowOf = (skipped: number): string => {
    const screen = orderedDither(64, 3);
    screen.skip(skipped);
    const bits = new Uint8Array(8);
    screen.row(new Int16Array(64).fill(full / 3), 0, 1, bits, 0, undefined);
    return Buffer.from(bits).toString("hex");
  };
  expect(rowOf(5)).not.toBe(rowOf(0));
  expect(rowOf(maskSide + 5)).toBe(rowOf(5));
});

test("colours come back in linear light, averaged over a patch", () => {
  for (const color of [
    [100, 60, 30],
    [200, 220, 240],
    [30, 40, 50],
    [250, 128, 10],
    [128, 128, 128],
  ]) {
    const [c, m, y, k] = draft(color);
    for (const [channel, ink] of [c!, m!, y!].entries()) {
      const light = mean(ink.map((dot, i) => (dot || k![i] ? 0 : 1)));
      expect(Math.abs(light - linearOfSrgb(color[channel]! / 255))).toBeLessThan(0.01);
    }
  }
});

test("white has no dot and black all of black alone", () => {
  expect(draft([255, 255, 255]).every((dots) => mean(dots) === 0)).toBe(true);
  expect(draft([0, 0, 0]).map(mean)).toEqual([0, 0, 0, 1]);
});

test("a draft lays what the ink table says: its limit is the draft's", () => {
  const limit = 1.8;
  const cube = table.cube.map((_, i) => [0.8, 0.5, 0.3, 0.2][i & 3]! * full);
  for (const color of [
    [20, 10, 60],
    [90, 91, 92],
    [255, 0, 3],
  ]) {
    const laid = draft(color, { ...table, cube }).map(mean);
    expect(laid.reduce((sum, share) => sum + share, 0)).toBeLessThanOrEqual(
      limit + 4 / (maskSide * maskSide),
    );
    for (const [i, share] of [0.8, 0.5, 0.3, 0.2].entries()) expect(laid[i]).toBeCloseTo(share, 3);
  }
});
