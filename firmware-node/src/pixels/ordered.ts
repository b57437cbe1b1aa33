/**
 * Ordered dither after B. E. Bayer, "An optimum method for two-level rendition of continuous-tone pictures" (1973), 16 × 16:
 * quick, nothing carried, repeating patterns that compress well. For drafts.
 *
 * A pixel with threshold t has a black dot when t lies below its coverage of black K, and a dot of cyan when t lies from K up
 * to K + (1 − K) C′: colour fills what black leaves free, and never lies under it.
 */
import { type CoverageRows, one, oneBits } from "./coverage.ts";
import type { Screen } from "./screen.ts";

const side = 16;

/** Bits of x ⊕ y and of y, interleaved from the lowest up into the highest: each position of the matrix once, 0 to 255. */
function rank(x: number, y: number): number {
  let value = 0;
  for (let bit = 0; bit < 4; bit++) value = (value << 2) | ((((x ^ y) >> bit) & 1) << 1) | ((y >> bit) & 1);
  return value;
}

/** Thresholds in the middle of 256 equal steps of coverage. */
const thresholds = Int16Array.from({ length: side * side }, (_, i) => {
  const step = one / (side * side);
  return rank(i % side, Math.floor(i / side)) * step + step / 2;
});

export function orderedDither(width: number): Screen {
  let y = 0;

  const blackDots = (coverage: Int16Array, plane: Uint8Array, offset: number): void => {
    const line = (y % side) * side;
    for (let x = 0; x < width; x++) {
      if (thresholds[line | (x & 15)]! < coverage[x]!) plane[offset + (x >> 3)]! |= 128 >> (x & 7);
    }
  };

  const colorDots = (k: Int16Array, coverage: Int16Array, plane: Uint8Array, offset: number): void => {
    const line = (y % side) * side;
    for (let x = 0; x < width; x++) {
      const share = coverage[x]!;
      // Neither a pixel without colour nor one that is all black has room for a dot.
      if (share <= 0) continue;
      const threshold = thresholds[line | (x & 15)]!;
      const hidden = k[x]!;
      if (threshold >= hidden && threshold < hidden + (((one - hidden) * share) >> oneBits)) {
        plane[offset + (x >> 3)]! |= 128 >> (x & 7);
      }
    }
  };

  return {
    row(coverage: CoverageRows, planes: readonly Uint8Array[], offset: number) {
      blackDots(coverage[0]!, planes[0]!, offset);
      for (let i = 1; i < coverage.length; i++) {
        colorDots(coverage[0]!, coverage[i]!, planes[i]!, offset);
      }
      y++;
    },
    blackRow(coverage: Int16Array, plane: Uint8Array, offset: number) {
      blackDots(coverage, plane, offset);
      y++;
    },
    blankRows(rows: number) {
      y += rows;
    },
  };
}
