/**
 * Error diffusion with blue noise on the threshold, rows from left to right. The weights are of the shape that J. N. Shiau and
 * Z. Fan found, "A set of easily implementable coefficients in error diffusion with reduced worm artifacts", Proc. SPIE 2658
 * (1996): three pixels to the left, so that no dots line up, and nothing below right, so that a row can follow the one above
 * at a distance of four pixels. In sixteenths:
 *
 *                   ·   7
 *     1   1   2     5
 *
 * Theirs has 8 right and 4 below. With the sixteenth moved the stripes at 33, 50 and 66 % of black go, and the spectrum's fine
 * structure is rounder (docs/pixels.md).
 *
 * For each pixel of each plane:
 * - `noInk` has no dot and `solid` has one. Error that has come here ends.
 * - Else value = coverage + error that has come. Above the threshold it makes a dot, which costs `full`; what is left is the
 *   pixel's error e. It goes on as ⌊e∕2⌋ − ⌊e∕16⌋ right, ⌊e∕4⌋ + ⌊e∕16⌋ below, ⌊e∕8⌋ below left, ⌊e∕16⌋ two left of below, and
 *   the rest, about e∕16, three left of below, so that nothing is lost: dots laid and error carried are the coverage asked for.
 *   Only what would leave the page at its sides is dropped. `≫` on negative numbers is the floor.
 *
 * The threshold of a pixel with mask value m, 0 to 255, is
 *
 *     ½ + strength (m − 127.5) ∕ 256 + bias (coverage − ½)
 *
 * `strength` breaks up the patterns that error diffusion falls into. Colours have three quarters, and each plane has the mask
 * in another place: their dots fall independently of each other. Black has 0.3: more adds grain, less leaves patterns.
 *
 * `bias` makes error zero on average at every coverage. Without it a light tint would first have to gather the error, near one
 * half a pixel, by which its dots are pushed over the threshold: its top edge stays white for 30 rows at 1 % (R. Eschbach and
 * K. Knox, J. Opt. Soc. Am. A 8 (1991), describe what such thresholds do to edges; here they also undo part of error diffusion's
 * sharpening). In flat areas it changes nothing, since it moves threshold and error alike. A strong mask lowers the
 * average error by itself: colours need next to no bias. Both were found by measuring the average error from 1 to 99 %.
 */
import { maskSide, maskValues } from "./blue-noise.ts";
import { full, noInk, solid } from "./ink-table.ts";
import type { PlaneScreen } from "./screen.ts";

export interface PlaneRule {
  readonly strength: number;
  /** In 1/32768. */
  readonly bias: number;
  /** Where in the mask the page's first pixel lies. */
  readonly maskX: number;
  readonly maskY: number;
}

/** What the coverage adds to the threshold: rounded, so that a multiplication of 16-bit fractions can do it. */
export const thresholdBias = (coverage: number, bias: number): number => (coverage * bias + 16384) >> 15;

/** Thresholds but for the coverage's part: `maskSide`² of one plane, row by row, where page rows and columns begin at 0. */
function thresholdsOf({ strength, bias, maskX, maskY }: PlaneRule): Int16Array {
  const middle = full / 2 - thresholdBias(full / 2, bias);
  return Int16Array.from({ length: maskSide * maskSide }, (_, i) => {
    const x = (i + maskX) % maskSide;
    const y = (Math.floor(i / maskSide) + maskY) % maskSide;
    return middle + Math.round((strength * full * (maskValues[y * maskSide + x]! - 127.5)) / 256);
  });
}

const colour = { strength: 0.75, bias: 1000 };

/** Cyan, magenta, yellow, black. */
export const planeRules = [
  { ...colour, maskX: 0, maskY: 0 },
  { ...colour, maskX: 59, maskY: 23 },
  { ...colour, maskX: 31, maskY: 83 },
  { strength: 0.3, bias: 15_000, maskX: 97, maskY: 61 },
].map((rule: PlaneRule) => ({ bias: rule.bias, thresholds: thresholdsOf(rule) }));

/** One plane of a page; `plane` is an index of `planeRules`. */
export function diffusion(width: number, plane: number): PlaneScreen {
  const { thresholds, bias } = planeRules[plane]!;
  /** Error that has come to pixel x of this row at `above[x + 3]`; entries before 3 lie beyond the page. */
  let above = new Int16Array(width + 3);
  let below = new Int16Array(width + 3);
  let y = 0;
  return {
    row(coverage, first, step, plane, offset) {
      const line = (y++ % maskSide) * maskSide;
      below.fill(0);
      let right = 0;
      for (let x = 0; x < width; x++) {
        const asked = coverage[first + x * step]!;
        let error = 0;
        let dot = asked === solid;
        if (asked !== noInk && asked !== solid) {
          const value = asked + above[x + 3]! + right;
          dot = value > thresholds[line + (x % maskSide)]! + thresholdBias(asked, bias);
          error = dot ? value - full : value;
        }
        if (dot) plane[offset + (x >> 3)]! |= 128 >> (x & 7);
        const sixteenth = error >> 4;
        const eighth = error >> 3;
        const down = (error >> 2) + sixteenth;
        right = (error >> 1) - sixteenth;
        below[x + 3]! += down;
        below[x + 2]! += eighth;
        below[x + 1]! += sixteenth;
        below[x]! += error - right - down - eighth - sixteenth;
      }
      [above, below] = [below, above];
    },
    skip(rows) {
      y += rows;
      if (rows > 0) above.fill(0);
    },
  };
}
