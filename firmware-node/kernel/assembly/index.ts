/** The kernel's exports: the host (src/pixels/kernel.ts) fills tables and input, calls, and reads the output. */
import { fourRows, oneRow } from "./color";
import { eightGreyRows, oneGreyRow } from "./grey";

export {
  biases, blacks, clearErrors, dithers, inks, input, lights, open, output, outputStride, planeStride, thresholds, widthPx,
} from "./layout";

/**
 * Dots of so many rows of sRGB in the input; the first lies on row `maskRow` of the mask. Returns the planes that have dots: bit 0
 * cyan, bit 1 magenta, bit 2 yellow, bit 3 black.
 */
export function colorRows(rows: i32, maskRow: i32): i32 {
  let row = 0;
  let planes = 0;
  for (; row + 4 <= rows; row += 4) planes |= fourRows(row, maskRow + row);
  for (; row < rows; row++) planes |= oneRow(row, maskRow + row);
  return planes;
}

/** The same in black alone, of grey (one byte a pixel, rows of `widthPx` bytes) or of sRGB. */
export function blackRows(rows: i32, maskRow: i32, color: bool): i32 {
  let row = 0;
  let dots = false;
  for (; row + 8 <= rows; row += 8) dots = eightGreyRows(row, maskRow + row, color) || dots;
  for (; row < rows; row++) dots = oneGreyRow(row, maskRow + row, color) || dots;
  return dots ? 8 : 0;
}
