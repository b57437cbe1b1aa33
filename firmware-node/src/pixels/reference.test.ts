import { describe, expect, test } from "vitest";
import { dotsOf, flatBand } from "../testing/dot-pages.ts";
import { maskRanks, maskSide } from "./blue-noise.ts";
import { coverageRows, referenceHalftoner } from "./reference.ts";
import {
  blackOfGrey,
  ditherOf,
  full,
  gridSide,
  gridValues,
  idealInks,
  interpolate,
  linearOfSrgb,
  noInk,
  pointOf,
  solid,
} from "./ink-table.ts";
import { diffusion } from "./shiau-fan.ts";

const table = idealInks();
const mean = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;

/** A row of dots, one byte a dot, as bits. */
const packed = (dots: Uint8Array): Uint8Array =>
  Uint8Array.from({ length: Math.ceil(dots.length / 8) }, (_, byte) =>
    dots.subarray(byte * 8, byte * 8 + 8).reduce((bits, dot, i) => bits | (dot << (7 - i)), 0),
  );

/** Dots of a flat patch of one plane, one byte a dot; of a colour, where black has the dots of `black`. */
function patch(plane: number, coverage: number, width: number, height: number, black?: Uint8Array) {
  const { row } = diffusion(width, plane);
  const asked = new Int16Array(width).fill(coverage);
  const dots = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const bits = new Uint8Array(Math.ceil(width / 8));
    row(asked, 0, 1, bits, 0, black && packed(black.subarray(y * width, (y + 1) * width)));
    for (let x = 0; x < width; x++) dots[y * width + x] = (bits[x >> 3]! >> (7 - (x & 7))) & 1;
  }
  return dots;
}

/** Standard deviation of the means of blocks of 16 × 16 dots. */
function unevenness(dots: Uint8Array, width: number): number {
  const sums = new Map<number, number>();
  for (const [i, dot] of dots.entries()) {
    const block = (Math.floor(i / width) >> 4) * width + ((i % width) >> 4);
    sums.set(block, (sums.get(block) ?? 0) + dot);
  }
  const means = [...sums.values()].map((sum) => sum / 256);
  return Math.sqrt(mean(means.map((value) => (value - mean(means)) ** 2)));
}

describe("the ideal engine's table", () => {
  test("gives back every colour in linear light", () => {
    const inks = new Int16Array(4);
    let worst = 0;
    for (let i = 0; i < 20_000; i++) {
      const rgb = [i * 7919, i * 104_729, i * 1_299_709].map((v) => (v >> 3) & 255) as [
        number,
        number,
        number,
      ];
      interpolate(table.cube, ...rgb, inks, 0);
      const share = Array.from(inks, (covered) => 1 - covered / full);
      for (const [channel, value] of rgb.entries()) {
        worst = Math.max(worst, Math.abs(share[3]! * share[channel]! - linearOfSrgb(value / 255)));
      }
    }
    // Half a step of sRGB, which the cube's middle point is off by, is 0.0017 there.
    expect(worst).toBeLessThan(0.0025);
  });

  test("makes neutral pixels of black alone, also next to colour", () => {
    const inks = new Int16Array(4);
    for (let v = 0; v < 256; v++) {
      interpolate(table.cube, v, v, v, inks, 0);
      expect([...inks.subarray(0, 3)]).toEqual([0, 0, 0]);
      expect(Math.abs(inks[3]! / full - (1 - linearOfSrgb(v / 255)))).toBeLessThan(0.002);
    }
  });

  test("has no ink for white, black alone for black, and nothing else beyond the scale", () => {
    const greys = blackOfGrey(table);
    expect([greys[0], greys[255]]).toEqual([solid, noInk]);
    expect(greys.slice(1, 255).every((k) => k >= 0 && k <= full)).toBe(true);
  });
});

describe("the cube", () => {
  /** Tetrahedral interpolation as a formula: along the channel with the largest fraction, then the middle one, then the smallest. */
  function tetrahedral(cube: Int16Array, color: readonly number[], ink: number): number {
    const axes = color
      .map((value, channel) => {
        const above = gridValues.findIndex((point) => point > value);
        const cell = above < 0 ? gridSide - 2 : above - 1;
        // Values are whole, and so the cells on both sides of the middle, 127.5, begin and end half a value off.
        const [low, high] = [Math.floor(gridValues[cell]!), Math.ceil(gridValues[cell + 1]!)];
        return {
          cell,
          fraction: (value - low) / (high - low),
          step: gridSide ** (2 - channel) * 4,
        };
      })
      .toSorted((a, b) => b.fraction - a.fraction);
    let at = axes.reduce((sum, { cell, step }) => sum + cell * step, ink);
    let value = cube[at]!;
    for (const { fraction, step } of axes) {
      value += fraction * (cube[at + step]! - cube[at]!);
      at += step;
    }
    return value;
  }

  test("over all thresholds, the points of a colour are its tetrahedral interpolation", () => {
    const cube = table.cube.map((_, i) => (Math.imul(i, 2654435761) >>> 8) % (full + 1));
    const inks = new Int16Array(4);
    for (let i = 0; i < 5000; i++) {
      const color = [i * 7919, i * 104_729, i * 1_299_709].map((v) => (v >> 3) & 255);
      interpolate(cube, color[0]!, color[1]!, color[2]!, inks, 0);
      for (let ink = 0; ink < 4; ink++) {
        expect(Math.abs(inks[ink]! - tetrahedral(cube, color, ink))).toBeLessThanOrEqual(0.5);
      }
    }
  });

  test("over the mask, each threshold comes as often", () => {
    const counts = new Uint32Array(8);
    for (let i = 0; i < maskSide * maskSide; i++) counts[ditherOf(i % maskSide, Math.floor(i / maskSide))]!++;
    expect(counts.every((count) => count === (maskSide * maskSide) / 8)).toBe(true);
  });

  test("colours on its points and corners are the points' own, whatever the threshold", () => {
    for (const v of gridValues.filter(Number.isInteger)) {
      const points = Array.from({ length: 8 }, (_, threshold) => pointOf(v, 255, 0, threshold));
      expect(new Set(points)).toEqual(
        new Set([gridValues.indexOf(v) * gridSide ** 2 * 4 + 32 * gridSide * 4]),
      );
    }
  });
});

describe("cells", () => {
  const rowOf = (pixels: readonly (readonly number[])[]) => {
    const row = new Int16Array(pixels.length * 4);
    coverageRows(table, pixels.length, "cmyk").color(Uint8Array.from(pixels.flat()), 0, row, 0);
    return pixels.map((_, x) => [...row.subarray(x * 4, x * 4 + 4)]);
  };
  const grey = [90, 90, 90];
  const red = [200, 10, 10];

  test("a neutral cell asks for black alone; one coloured pixel in it, and its greys go through the cube", () => {
    expect(
      rowOf([grey, grey, grey, grey, grey, grey, grey, grey]).every(
        ([c, m, y]) => c === noInk && m === noInk && y === noInk,
      ),
    ).toBe(true);
    const mixed = rowOf([grey, grey, grey, grey, grey, grey, grey, [90, 90, 91]]);
    expect(mixed.slice(0, 7).every(([c, m, y]) => c === 0 && m === 0 && y === 0)).toBe(true);
  });

  test("a cell that the page cuts off is neutral when what there is of it is", () => {
    const row = rowOf([red, red, red, red, red, red, red, red, grey, grey]);
    expect(row[8]![0]).toBe(noInk);
    expect(row[7]![0]).not.toBe(noInk);
  });

  test("white and black pixels are laid as they are among colours", () => {
    const row = rowOf([
      [200, 10, 10],
      [255, 255, 255],
      [0, 0, 0],
      [10, 200, 10],
    ]);
    expect(row[1]).toEqual([noInk, noInk, noInk, noInk]);
    expect(row[2]).toEqual([noInk, noInk, noInk, solid]);
  });
});

describe("diffusion", () => {
  test("loses nothing: dots laid are the coverage asked, but for what is carried at the patch's edges", () => {
    for (const plane of [0, 3]) {
      for (const share of [0.01, 0.1, 0.33, 0.5, 0.9]) {
        const dots = patch(plane, Math.round(share * full), 256, 256);
        expect(Math.abs(mean(dots) - share)).toBeLessThan(0.5 / 256);
      }
    }
  });

  test("a light tint begins at its top edge", () => {
    for (const plane of [0, 1, 2, 3]) {
      for (const share of [0.01, 0.02, 0.05, 0.1]) {
        const rows = 16;
        const dots = patch(plane, Math.round(share * full), 2048, rows);
        expect(mean(dots) / share).toBeGreaterThan(0.6);
        expect(mean(dots) / share).toBeLessThan(1.5);
      }
    }
  });

  test("a light tint's first dots do not come in a line", () => {
    for (const plane of [0, 1, 2, 3]) {
      const width = 2048;
      const dots = patch(plane, Math.round(0.01 * full), width, 24);
      const fullness = (y: number) => mean(dots.subarray(y * width, (y + 4) * width)) / 0.01;
      for (let y = 0; y < 20; y++) expect(fullness(y)).toBeLessThan(2.7);
    }
  });

  test("solid pixels have dots and empty ones none, whatever lies around them", () => {
    const width = 64;
    const { row } = diffusion(width, 3);
    const asked = Int16Array.from({ length: width }, (_, x) => [solid, 3000, noInk, 5000][x % 4]!);
    for (let y = 0; y < 200; y++) {
      const bits = new Uint8Array(8);
      row(asked, 0, 1, bits, 0, undefined);
      for (const byte of bits) expect(byte & 0b10101010).toBe(0b10001000);
    }
  });

  test("planes that ask for the same fall on each other as often as chance would have it", () => {
    const share = 0.3;
    const planes = [0, 1, 2, 3].map((plane) => patch(plane, Math.round(share * full), 512, 512));
    for (let p = 0; p < 4; p++) {
      for (let q = 0; q < p; q++) {
        expect(Math.abs(mean(planes[p]!.map((dot, i) => dot & planes[q]![i]!)) - share * share)).toBeLessThan(
          0.01,
        );
      }
    }
  });
});

describe("colours under black", () => {
  const side = 512;
  const shares = [0.02, 0.1, 0.5, 0.9];
  const ofBlack = new Map(
    [0.3, 0.5, 0.95].map((share) => [share, patch(3, Math.round(share * full), side, side)]),
  );

  test("lie there as often as chance would have it", () => {
    for (const [black, dots] of ofBlack) {
      for (const share of shares) {
        const cyan = patch(0, Math.round(share * full), side, side, dots);
        expect(Math.abs(mean(cyan) - share)).toBeLessThan(0.008);
        expect(Math.abs(mean(cyan.map((dot, i) => dot & dots[i]!)) - share * black)).toBeLessThan(0.008);
      }
    }
  });

  test("leave what is seen of them even, which dots that know nothing of black do not", () => {
    const black = ofBlack.get(0.5)!;
    const seen = (told?: Uint8Array) =>
      unevenness(
        patch(1, full / 2, side, side, told).map((dot, i) => (black[i] ? 0 : dot)),
        side,
      );
    expect(seen(black)).toBeLessThan(0.6 * seen());
  });

  test("go on below it with the error that came from above", () => {
    const width = 2048;
    /** Dots a column below rows under black, after a first row with or without a light tint that lays less than it asks for. */
    const below = (first: number) => {
      const { row } = diffusion(width, 0);
      const laid = (coverage: number, rows: number, black: number) => {
        const under = new Uint8Array(width / 8).fill(black);
        let dots = 0;
        for (let y = 0; y < rows; y++) {
          const bits = new Uint8Array(width / 8);
          row(new Int16Array(width).fill(coverage), 0, 1, bits, 0, under);
          for (const byte of bits) for (let bit = 0; bit < 8; bit++) dots += (byte >> bit) & 1;
        }
        return dots / width;
      };
      const owed = Math.max(first, 0) / full - laid(first, 1, 0);
      laid(3000, 20, 255);
      return { owed, dots: laid(3000, 64, 0) };
    };
    const [tinted, empty] = [below(400), below(noInk)];
    expect(tinted.owed).toBeGreaterThan(0.03);
    expect(Math.abs(tinted.dots - empty.dots - tinted.owed)).toBeLessThan(0.3 * tinted.owed);
  });
});

test("colours come back in linear light, averaged over a patch", () => {
  const side = 200;
  for (const color of [
    [100, 60, 30],
    [200, 220, 240],
    [30, 40, 50],
    [250, 128, 10],
    [128, 128, 128],
  ]) {
    const band = flatBand(side, side, color);
    const [c, m, y, k] = (["cyan", "magenta", "yellow", "black"] as const).map((colorant) =>
      dotsOf(referenceHalftoner("shiau-fan", table, side, "cmyk"), side, band, colorant),
    );
    for (const [channel, ink] of [c!, m!, y!].entries()) {
      const light = mean(ink.map((dot, i) => (dot | k![i]! ? 0 : 1)));
      expect(Math.abs(light - linearOfSrgb(color[channel]! / 255))).toBeLessThan(0.004);
    }
  }
});

test("text with soft edges has no dot on the paper around it and no hole in it", () => {
  const width = 400;
  const height = 200;
  const band = flatBand(width, height, [255, 255, 255]);
  // Slanted strokes, each row's edges cut at a fraction of a pixel.
  for (let y = 20; y < 180; y++) {
    for (let left = 20.3; left < 360; left += 28) {
      const edge = left + y * 0.13;
      for (let x = Math.floor(edge); x <= edge + 9; x++) {
        const inside = Math.min(x + 1, edge + 8.6) - Math.max(x, edge);
        const value = Math.round(255 * (1 - Math.min(1, Math.max(0, inside))));
        band.pixels.fill(value, (y * width + x) * 3, (y * width + x) * 3 + 3);
      }
    }
  }
  const dots = dotsOf(referenceHalftoner("shiau-fan", table, width, "cmyk"), width, band, "black");
  expect(mean(dots)).toBeGreaterThan(0.1);
  for (const [i, dot] of dots.entries()) {
    const value = band.pixels[i * 3];
    if (value === 255) expect(dot).toBe(0);
    if (value === 0) expect(dot).toBe(1);
  }
});

test("spots in the white around text, as JPEG leaves them, have hardly a dot", () => {
  const side = 512;
  const band = flatBand(side, side, [255, 255, 255]);
  let state = 1;
  let asked = 0;
  // Blocks of eight with waves cut off at white, apart from each other.
  for (let i = 0; i < side * side; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const [x, y] = [i % side, Math.floor(i / side)];
    if ((x & 31) >= 8 || (y & 31) >= 8) continue;
    const value = Math.min(255, 251 + Math.floor((state / 2 ** 32) * 9));
    asked += 1 - linearOfSrgb(value / 255);
    band.pixels.fill(value, i * 3, i * 3 + 3);
  }
  const dots = dotsOf(referenceHalftoner("shiau-fan", table, side, "cmyk"), side, band, "black");
  expect(asked).toBeGreaterThan(150);
  expect(dots.reduce((sum, dot) => sum + dot, 0)).toBeLessThan(0.02 * asked);
});

test("the mask has each of its ranks once", () => {
  expect(new Set(maskRanks).size).toBe(maskSide * maskSide);
  expect(Math.max(...maskRanks)).toBe(maskSide * maskSide - 1);
});

describe("a table whose neutrals go through the cube", () => {
  const photo = { ...table, cube: table.cube.map((ink) => Math.max(ink, 40)), neutrals: "cube" as const };
  const y = 5;
  const lay = (inks: "cmyk" | "k", kind: "grey" | "color", pixels: readonly number[]) => {
    const row = new Int16Array(16 * 4);
    coverageRows(photo, 16, inks)[kind](Uint8Array.from(pixels), 0, row, y);
    return row;
  };
  const values = Array.from({ length: 16 }, (_, x) => x * 17);

  test("makes greys and black of all inks, and leaves white empty", () => {
    const row = lay("cmyk", "grey", values);
    for (const [x, v] of values.slice(0, 15).entries()) {
      const point = pointOf(v, v, v, ditherOf(x, y));
      const inks = [...row.subarray(x * 4, x * 4 + 4)];
      expect(inks).toEqual([...photo.cube.subarray(point, point + 4)]);
      expect(Math.min(...inks)).toBeGreaterThanOrEqual(40);
    }
    expect([...row.subarray(60)]).toEqual([noInk, noInk, noInk, noInk]);
  });

  test("lays a grey band as the same rows in colour", () => {
    expect(lay("cmyk", "grey", values)).toEqual(
      lay(
        "cmyk",
        "color",
        values.flatMap((v) => [v, v, v]),
      ),
    );
  });

  test("prints as ever where there is black alone", () => {
    const row = lay("k", "grey", values);
    expect([row[3], row[63]]).toEqual([solid, noInk]);
  });
});
