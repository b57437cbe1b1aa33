/**
 * How much of the paper each ink shall cover, by table: sRGB → cyan, magenta, yellow, black through a cube of 33³ points, and
 * light → black for neutral pixels and for printers that have black alone. Tables come from an ICC profile (color/), or from
 * `idealInks`. This file says how they are read, once and plainly; the kernel reads them in the same way to the bit.
 *
 * A pixel takes the inks of one point of the cube. Its place on each edge, in eighths of the way between points, is raised by a
 * threshold from 0 to 7, the same for red, green and blue, and rounded down. Over all thresholds that gives each corner of the
 * colour's tetrahedron as often as tetrahedral interpolation weighs it (J. M. Kasson et al., J. Electronic Imaging 4 (1995)): the
 * mean is the interpolation, exactly. The threshold comes from a blue-noise mask, so that neighbours make the mean up; what
 * that adds is a few hundredths of the noise that dots are, and as fine. It takes one load a pixel and no multiplication.
 *
 * Coverage is fixed point, 0 to `full`. Three kinds of pixels do not go through the cube:
 * - White (255, 255, 255) is `noInk` in all planes and black (0, 0, 0) is `solid` in black and `noInk` in the colours. They are
 *   laid exactly as they are: edges of text stay crisp, and paper stays free of dots.
 * - Cells are eight pixels of a row from a multiple of eight on; what lies beyond the page counts as white. A cell whose pixels
 *   are all neutral (R = G = B) is made of black alone, `noInk` in the colours. So a grey band is exactly a colour band
 *   whose pixels are neutral. It takes a whole cell, because a lone neutral pixel in a photo is chance, and must not end the
 *   error that its neighbours have sent.
 *
 * That is a table with `neutrals: "black"`, for text and drawings. With `"cube"`, for photos, neutral pixels and black go
 * through the cube like any colour, since black alone is lighter than all inks together and would stand out in deep shadows;
 * only white stays apart. Printers that have black alone read the former.
 */
import { maskSide, maskValues } from "./blue-noise.ts";

/** Full coverage: 8192. Coverage plus all error that can come to a pixel fit 16 bits. */
export const full = 8192;
/** The pixel has no ink of this plane, and error that comes to it ends. */
export const noInk = -1;
/** The pixel has ink of this plane, and error that comes to it ends. */
export const solid = full + 1;

/** Points along each edge of the cube. */
export const gridSide = 33;
/** Distance of neighbouring points in the cube's array: of red, of green, of blue. */
const redStep = gridSide * gridSide * 4;
const greenStep = gridSide * 4;
const blueStep = 4;
/** Entries of `black`: light from 0 to 8192. */
export const lightSteps = 8192;

export interface InkTable {
  /** 33³ points, red slowest, of cyan, magenta, yellow, black: 0 to `full`. */
  readonly cube: Int16Array;
  /** Black by light (linear luminance, 0 to `lightSteps`): 0 to `full`. */
  readonly black: Int16Array;
  /** What each value of red, green, blue adds to a pixel's light, in 2⁻³⁰; white has 1. `srgbLight` unless pages come in a space of their own. */
  readonly light: readonly Uint32Array[];
  /** What neutral pixels and black are made of on a page of four inks: black alone, or what the cube says. */
  readonly neutrals: "black" | "cube";
}

/** sRGB (IEC 61966-2-1) as linear light, 0 to 1. */
export function linearOfSrgb(value: number): number {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

/** Rec. 709 luminance in 1/16384, which is their sum: a neutral pixel's luminance is its own light, exactly. */
const luminanceWeights = [3483, 11718, 1183];

/** `InkTable.light` of sRGB. */
export const srgbLight: readonly Uint32Array[] = luminanceWeights.map((weight) =>
  Uint32Array.from({ length: 256 }, (_, v) => weight * Math.round(65536 * linearOfSrgb(v / 255))),
);

/** Index into `black`. */
export const lightOf = ({ light }: InkTable, r: number, g: number, b: number): number =>
  (light[0]![r]! + light[1]![g]! + light[2]![b]! + (1 << 16)) >>> 17;

/** Black of a neutral pixel by its value, `solid` and `noInk` at the ends. */
export function blackOfGrey(table: InkTable): Int16Array {
  return Int16Array.from({ length: 256 }, (_, v) =>
    v === 0 ? solid : v === 255 ? noInk : table.black[lightOf(table, v, v, v)]!,
  );
}

/** Steps from a point of an edge to the next. */
const cellSteps = 8;

/** Place of a value on an edge of the cube, in steps: 0 to 256. */
const placeOf = (value: number): number => value + (value >> 7);

/** What values the points of an edge stand for, 0 to 255: where `placeOf` has them. The middle lies between two. */
export const gridValues: readonly number[] = Array.from({ length: gridSide }, (_, i) => {
  const place = i * cellSteps;
  return place < 128 ? place : place > 128 ? place - 1 : 127.5;
});

/** Where in the cube's array the inks of a pixel begin, with a threshold from 0 to 7. */
export const pointOf = (r: number, g: number, b: number, threshold: number): number =>
  Math.floor((placeOf(r) + threshold) / cellSteps) * redStep +
  Math.floor((placeOf(g) + threshold) / cellSteps) * greenStep +
  Math.floor((placeOf(b) + threshold) / cellSteps) * blueStep;

/** Where in the mask the page's first pixel lies: where no plane's dots have it (shiau-fan.ts). */
const [ditherX, ditherY] = [79, 107];

/** Threshold of a pixel of the page. */
export const ditherOf = (x: number, y: number): number =>
  maskValues[((y + ditherY) % maskSide) * maskSide + ((x + ditherX) % maskSide)]! >> 5;

/** What a colour comes to on average over all thresholds, into `out` at `at`. */
export function interpolate(
  cube: Int16Array,
  r: number,
  g: number,
  b: number,
  out: Int16Array,
  at: number,
): void {
  for (let ink = 0; ink < 4; ink++) {
    let sum = 0;
    for (let threshold = 0; threshold < cellSteps; threshold++)
      sum += cube[pointOf(r, g, b, threshold) + ink]!;
    out[at + ink] = Math.round(sum / cellSteps);
  }
}

/**
 * The cube of an ideal engine, for the linear light, red, green, blue, that each of its points stands for: a dot of cyan takes
 * all red out of the paper white and leaves the rest, a dot of black takes everything, planes fall on each other by chance, and
 * dots are seen averaged in linear light. With
 *
 *     K = 1 − max(R, G, B)    C = 1 − R ∕ max(R, G, B)    M, Y likewise
 *
 * the light that comes back is (1 − K)(1 − C) = R: a page's colour exactly.
 */
export function idealCube(light: Float64Array): Int16Array {
  const cube = new Int16Array(gridSide ** 3 * 4);
  for (let i = 0, at = 0; i < light.length; i += 3) {
    const most = Math.max(light[i]!, light[i + 1]!, light[i + 2]!);
    for (let channel = 0; channel < 3; channel++) {
      cube[at++] = most === 0 ? 0 : Math.round(full * (1 - light[i + channel]! / most));
    }
    cube[at++] = Math.round(full * (1 - most));
  }
  return cube;
}

/** Black of an ideal engine by light. */
export const idealBlack = (): Int16Array => Int16Array.from({ length: lightSteps + 1 }, (_, i) => full - i);

/** An ideal engine's table for pages in sRGB. */
export function idealInks(): InkTable {
  const edge = gridValues.map((value) => linearOfSrgb(value / 255));
  const points = edge.flatMap((r) => edge.flatMap((g) => edge.flatMap((b) => [r, g, b])));
  return {
    cube: idealCube(Float64Array.from(points)),
    black: idealBlack(),
    light: srgbLight,
    neutrals: "black",
  };
}
