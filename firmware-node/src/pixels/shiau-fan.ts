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
 * For each pixel of each plane, with the mask's m there, 0 to 1:
 * - `noInk` has no dot and `solid` has one. Error that has come here ends.
 * - Else a dot is laid *by value*, where coverage + error that has come lies above
 *
 *       ¼ + strength (m − ½) + coverage ∕ 2
 *
 *   or *by the mask*, where coverage + (error − 0.16) ∕ 32 lies above m: colours where black has a dot, and light tints, which also
 *   need an error of 0.05 at least.
 * - A dot costs `full`; what is left of the value is the pixel's error e. It goes on as ⌊e∕2⌋ − ⌊e∕16⌋ right, ⌊e∕4⌋ + ⌊e∕16⌋
 *   below, ⌊e∕8⌋ below left, ⌊e∕16⌋ two left of below, and the rest, about e∕16, three left of below, so that nothing is
 *   lost: dots laid and error carried are the coverage asked for. Only what would leave the page at its sides is dropped.
 *   `≫` on negative numbers is the floor.
 * - Under a dot of black a colour is not seen, and so it makes no error: what has come goes on as it is. What is seen of the
 *   colour, between the dots of black, is then as even as if black were not there, and dots fall on each other as often as
 *   chance would have it.
 *
 * `strength` breaks up the patterns that error diffusion falls into: more adds grain, less leaves stripes. Each plane has the
 * mask in another place. Half of the coverage is on the threshold so that error is near zero on average. With a fixed one a
 * light tint would first have to gather the error, near one half a pixel, by which its dots are pushed over the threshold
 * (R. Eschbach and K. Knox, J. Opt. Soc. Am. A 8 (1991), describe what such thresholds do to edges; here they also undo part of
 * error diffusion's sharpening). In flat areas it changes nothing, since it moves threshold and error alike.
 *
 * Light tints go by the mask since error diffusion sets their dots in lines, after a white edge at first, when they all come due
 * in the same rows. A thirty-second of the error is enough that none is lost. Their error comes to 0.16 on average, and the least
 * of 0.05 keeps spots from having dots, such as JPEG leaves around text: what does not come to a dot together ends at the white.
 */
import { maskRanks, maskSide } from "./blue-noise.ts";
import { full, noInk, solid } from "./ink-table.ts";
import type { PlaneScreen } from "./screen.ts";

/** Up to 3 %: laid by the mask. */
export const lightest = 246;
/** Least error of a light tint's dot, and what its error comes to on average; the latter is a multiple of 32. */
export const leastError = 384;
const usualError = 1280;

const colour = 0.375;

/** Of cyan, magenta, yellow, black: where in the mask the page's first pixel lies, and how strong the mask is. */
const planeRules = [
  { strength: colour, maskX: 0, maskY: 0 },
  { strength: colour, maskX: 59, maskY: 23 },
  { strength: colour, maskX: 31, maskY: 83 },
  { strength: 0.3, maskX: 97, maskY: 61 },
];

/** What a plane has at each place of the mask, row by row, where page rows and columns begin at 0: `maskSide`² entries each. */
export interface PlaneMask {
  /** m, 0 to `full` − 1, and a thirty-second of a light tint's error. */
  readonly mask: Int16Array;
  /** Twice the threshold of values but for the coverage's part: ½ + 2 strength (m − ½). */
  readonly twiceThreshold: Int16Array;
}

/** Cyan, magenta, yellow, black. */
export const planeMasks: readonly PlaneMask[] = planeRules.map(({ strength, maskX, maskY }) => {
  const ranks = Int16Array.from({ length: maskSide * maskSide }, (_, i) => {
    const x = (i + maskX) % maskSide;
    const y = (Math.floor(i / maskSide) + maskY) % maskSide;
    return maskRanks[y * maskSide + x]!;
  });
  return {
    mask: ranks.map((rank) => (rank >> 1) + (usualError >> 5)),
    twiceThreshold: ranks.map((rank) => Math.round(full / 2 + strength * (rank + 0.5 - full))),
  };
});

/** One plane of a page; `plane` is an index of `planeMasks`. */
export function diffusion(width: number, plane: number): PlaneScreen {
  const { mask, twiceThreshold } = planeMasks[plane]!;
  /** Error that has come to pixel x of this row at `above[x + 3]`; entries before 3 lie beyond the page. */
  let above = new Int16Array(width + 3);
  let below = new Int16Array(width + 3);
  let y = 0;
  return {
    row(coverage, first, step, bits, offset, black) {
      const line = (y++ % maskSide) * maskSide;
      below.fill(0);
      let right = 0;
      for (let x = 0; x < width; x++) {
        const asked = coverage[first + x * step]!;
        const [byte, bit] = [offset + (x >> 3), 128 >> (x & 7)];
        let dot = asked === solid;
        let error = 0;
        if (asked !== noInk && asked !== solid) {
          const place = line + (x % maskSide);
          const come = above[x + 3]! + right;
          const byMask = asked + (come >> 5) > mask[place]!;
          const byValue = asked + come > (twiceThreshold[place]! + asked + 1) >> 1;
          const hidden = black !== undefined && (black[byte]! & bit) !== 0;
          if (hidden) dot = byMask;
          else dot = asked <= lightest ? byMask && come >= leastError : byValue;
          error = hidden ? come : asked + come - (dot ? full : 0);
        }
        if (dot) bits[byte]! |= bit;
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
