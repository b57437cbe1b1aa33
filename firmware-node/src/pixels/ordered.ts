/**
 * Ordered dither for drafts: a pixel has a dot where its coverage lies above its threshold. Nothing is carried from pixel to
 * pixel. `noInk` lies below every threshold and `solid` above.
 *
 * Thresholds are lattices: of plane p with the vector (a, b), ⌊·⌋ of
 *
 *     (a x + b y) mod 128  +  (c x + d y) mod 128 ∕ 128          in 1∕128
 *
 * where (c, d) is another plane's vector, which tells apart what the first term calls equal. (a, b) ∕ 128 lies near the numbers
 * 1∕ρ, 1∕ρ² with ρ³ = ρ + 1, whose multiples fill a square most evenly (M. Roberts, "The unreasonable effectiveness of
 * quasirandom sequences"), turned and mirrored from plane to plane: each coverage has fine hatching, and patterns that come again
 * and again, which compress to half of what error diffusion needs on the way to the engine.
 *
 * As far as a d − b c is odd, each two thresholds of two planes meet equally often: dots fall on each other as often as
 * chance would have it, which is what ink tables count on. (Of cyan and yellow it is twice an odd number: theirs meet where
 * both are even or both are odd.) Bayer's matrices cannot do that. In any places they lie on each other, or beside each other.
 */
import { maskSide } from "./blue-noise.ts";
import { full } from "./ink-table.ts";
import type { PlaneScreen } from "./screen.ts";

/** Cyan, magenta, yellow, black. Each and the next one, as also the last and the first, have an odd determinant. */
const vectors = [
  [73, 97],
  [72, 97],
  [97, 55],
  [97, 72],
] as const;

const alongLattice = ([a, b]: readonly [number, number], x: number, y: number): number =>
  (a * x + b * y) % maskSide;

/** Of cyan, magenta, yellow, black: `maskSide`² thresholds, row by row, each of 0 to `full` − 1 twice. */
export const orderedThresholds: readonly Int16Array[] = vectors.map((coarse, plane) => {
  const fine = vectors[(plane + 1) % vectors.length]!;
  return Int16Array.from({ length: maskSide * maskSide }, (_, i) => {
    const x = i % maskSide;
    const y = Math.floor(i / maskSide);
    const step = alongLattice(coarse, x, y) * maskSide + alongLattice(fine, x, y);
    return Math.floor((step * full) / (maskSide * maskSide));
  });
});

/** One plane of a page; `plane` is an index of `orderedThresholds`. */
export function orderedDither(width: number, plane: number): PlaneScreen {
  const thresholds = orderedThresholds[plane]!;
  let y = 0;
  return {
    row(coverage, first, step, bits, offset) {
      const line = (y++ % maskSide) * maskSide;
      for (let x = 0; x < width; x++) {
        if (coverage[first + x * step]! > thresholds[line + (x % maskSide)]!) {
          bits[offset + (x >> 3)]! |= 128 >> (x & 7);
        }
      }
    },
    skip(rows) {
      y += rows;
    },
  };
}
