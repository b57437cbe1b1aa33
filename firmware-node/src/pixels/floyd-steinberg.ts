/**
 * Error diffusion after R. W. Floyd and L. Steinberg, "An Adaptive Algorithm for Spatial Greyscale", Proc. SID 17/2 (1976),
 * rows from left to right. For each pixel of each plane, black before the colours:
 *
 * - `noInk`: no dot. Error that has come here ends here.
 * - Colour where the same pixel has a black dot: no dot. The coverage does not count, since it is a share of what black
 *   leaves free; error that has come here goes on.
 * - Else the error that has come here is added to the coverage; from one half up that makes a dot, which costs one.
 *   What is left is the pixel's error.
 *
 * An error e goes on as ⌊7e∕16⌋ to the right, ⌊3e∕16⌋ below left, ⌊e∕16⌋ below right, and the rest (5e∕16 and what rounding
 * left) below, so that nothing is lost: the dots laid and the error still carried are the coverage asked for. Only what would
 * leave the page at its sides is dropped. `≫` on negative numbers is the floor.
 */
import { type CoverageRows, noInk, one } from "./coverage.ts";
import type { Inks, Screen } from "./screen.ts";

const half = one >> 1;

/**
 * One row of one plane. `errors[x + 1]` is the error that has come to pixel x from the row above, and afterwards from this row;
 * the entries at both ends lie beyond the page. `hidden` holds the black dots of the row at the same offset as `plane`.
 */
function diffuseRow(
  coverage: Int16Array,
  errors: Int16Array,
  width: number,
  plane: Uint8Array,
  offset: number,
  hidden: Uint8Array | undefined,
): void {
  let right = 0;
  // Error for the row below, at x − 1 and at x, as far as it is known.
  let belowLeft = 0;
  let below = 0;
  let dots = 0;
  let hiddenDots = 0;
  for (let x = 0; x < width; x++) {
    if ((x & 7) === 0 && hidden) hiddenDots = hidden[offset + (x >> 3)]!;
    const asked = coverage[x]!;
    let error = 0;
    dots <<= 1;
    if (asked !== noInk) {
      error = errors[x + 1]! + right;
      if ((hiddenDots & (128 >> (x & 7))) === 0) {
        error += asked;
        if (error >= half) {
          error -= one;
          dots |= 1;
        }
      }
    }
    right = (7 * error) >> 4;
    const downLeft = (3 * error) >> 4;
    const downRight = error >> 4;
    errors[x] = belowLeft + downLeft;
    belowLeft = below + (error - right - downLeft - downRight);
    below = downRight;
    if ((x & 7) === 7) {
      plane[offset + (x >> 3)] = dots;
      dots = 0;
    }
  }
  errors[width] = belowLeft;
  const left = width & 7;
  if (left) plane[offset + (width >> 3)] = dots << (8 - left);
}

/** Carries one row of errors a plane. */
export function floydSteinberg(width: number, inks: Inks): Screen {
  const errors = Array.from({ length: inks === "k" ? 1 : 4 }, () => new Int16Array(width + 2));
  const black = errors[0]!;
  const colors = errors.slice(1);
  return {
    row(coverage: CoverageRows, planes: readonly Uint8Array[], offset: number) {
      const blackDots = planes[0]!;
      for (let i = 0; i < errors.length; i++) {
        diffuseRow(coverage[i]!, errors[i]!, width, planes[i]!, offset, i === 0 ? undefined : blackDots);
      }
    },
    blackRow(coverage: Int16Array, plane: Uint8Array, offset: number) {
      diffuseRow(coverage, black, width, plane, offset, undefined);
      for (const row of colors) row.fill(0);
    },
    blankRows() {
      for (const row of errors) row.fill(0);
    },
  };
}
