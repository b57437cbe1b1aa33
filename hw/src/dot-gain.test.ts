import { describe, expect, test } from "vitest";
import { coveredShares, type InkLook, plainPaper, scanOf } from "./dot-gain.ts";
import type { PrintedSide } from "./engine-model.ts";

/** A side of black alone, whose dot at (x, y) is as said. */
function side(widthPx: number, heightPx: number, dot: (x: number, y: number) => boolean): PrintedSide {
  const strideBytes = Math.ceil(widthPx / 8);
  const bits = new Uint8Array(strideBytes * heightPx);
  for (let y = 0; y < heightPx; y++) {
    for (let x = 0; x < widthPx; x++) if (dot(x, y)) bits[y * strideBytes + (x >> 3)]! |= 128 >> (x & 7);
  }
  return { side: "front", widthPx, heightPx, strideBytes, planes: new Map([["black", bits]]) };
}

const linear = (value: number): number => {
  const v = value / 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
};

/** Mean reflectance of the green channel within the edges. */
function seen(printed: PrintedSide, look: InkLook): number {
  const { widthPx, heightPx, pixels } = scanOf(printed, {
    dotsPerPixel: 4,
    looks: { ...plainPaper, black: look },
    paper: 1,
    noise: 0,
  });
  let [sum, count] = [0, 0];
  for (let y = 2; y < heightPx - 2; y++) {
    for (let x = 2; x < widthPx - 2; x++, count++) sum += linear(pixels[(y * widthPx + x) * 3 + 1]!);
  }
  return sum / count;
}

const look = (dotRadius: number, scatter = 1): InkLook => ({ dotRadius, scatter, solid: [0, 0, 0] });

describe("dots as discs", () => {
  test("a lone dot covers its disc's area, spread over its place and the eight around it", () => {
    for (const radius of [0.5, 0.75, 1, 1.4]) {
      const shares = coveredShares(radius);
      const total = Array.from({ length: 9 }, (_, place) => shares[1 << place]!).reduce((a, b) => a + b);
      expect(total).toBeCloseTo(Math.PI * radius ** 2, 1);
    }
  });

  test("where dots overlap the paper is covered once", () => {
    const shares = coveredShares(0.8);
    expect(shares[0b111_111_111]).toBe(1);
    expect(shares[0]).toBe(0);
    for (let pattern = 0; pattern < 512; pattern++) {
      expect(shares[pattern | 16]!).toBeGreaterThanOrEqual(shares[pattern]!);
      const alone = [...Array(9).keys()].filter((i) => pattern & (1 << i)).map((i) => shares[1 << i]!);
      expect(shares[pattern]!).toBeLessThanOrEqual(alone.reduce((a, b) => a + b, 0) + 1e-9);
    }
  });

  test("left is left and above is above: a neighbour's disc reaches in from its own side", () => {
    // A dot left of a column of bytes, seen in the scan's next pixel.
    const wide = scanOf(
      side(16, 3, (x, y) => x === 7 && y === 1),
      { dotsPerPixel: 1, looks: { ...plainPaper, black: look(0.9) }, paper: 1, noise: 0 },
    );
    const green = (x: number, y: number): number => wide.pixels[(y * 16 + x) * 3 + 1]!;
    expect(green(7, 1)).toBeLessThan(10);
    expect(green(8, 1)).toBe(green(6, 1));
    expect(green(8, 1)).toBeLessThan(250);
    expect(green(7, 0)).toBe(green(7, 2));
    expect(green(9, 1)).toBe(255);
  });
});

test("lone dots look like more than they are, by their area; light that scatters adds to that", () => {
  const sparse = side(64, 64, (x, y) => x % 4 === 0 && y % 4 === 0);
  expect(seen(sparse, look(0.75))).toBeCloseTo(1 - (Math.PI * 0.75 ** 2) / 16, 2);
  expect(seen(sparse, look(0.75, 2))).toBeLessThan(seen(sparse, look(0.75)) - 0.05);
});

test("paper and solid ink look like themselves", () => {
  const inks: InkLook = { dotRadius: 0.75, scatter: 1.5, solid: [0.1, 0.2, 0.3] };
  expect(
    seen(
      side(32, 32, () => false),
      inks,
    ),
  ).toBeCloseTo(1, 3);
  expect(
    seen(
      side(32, 32, () => true),
      inks,
    ),
  ).toBeCloseTo(0.2, 2);
});
