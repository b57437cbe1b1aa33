/** The kernel's exports: the host (src/pixels/kernel.ts) fills tables and input, calls, and reads the output. */
import { fourRows, oneRow } from "./color";
import { eightGreyRows, oneGreyRow } from "./grey";

export {
  biases, blacks, clearErrors, greys, input, lights, open, output, outputStride, pairs, planeStride, singles, thresholds,
  widthPx,
} from "./layout";

/** Dots of so many rows of sRGB in the input; the first lies on row `maskRow` of the mask. */
export function colorRows(rows: i32, maskRow: i32): void {
  let row = 0;
  for (; row + 4 <= rows; row += 4) fourRows(row, maskRow + row);
  for (; row < rows; row++) oneRow(row, maskRow + row);
}

/** The same in black alone, of grey (one byte a pixel, rows of `widthPx` bytes) or of sRGB. */
export function blackRows(rows: i32, maskRow: i32, color: bool): void {
  let row = 0;
  for (; row + 8 <= rows; row += 8) eightGreyRows(row, maskRow + row, color);
  for (; row < rows; row++) oneGreyRow(row, maskRow + row, color);
}
