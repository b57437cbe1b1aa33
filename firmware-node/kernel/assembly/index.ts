/** The kernel's exports: the host (src/pixels/kernel.ts) fills tables and strips, calls, and reads the planes. */
import { fourRows, oneRow } from "./color";
import { takeGrey } from "./convert";
import { eightGreyRows, oneGreyRow } from "./grey";
import { blackNeutrals, greyRows, input, inputStride, output, outputStride, planeStride, widthPx } from "./layout";
import { orderedBlackRow, orderedColorRow } from "./ordered";

export { blacks, clearErrors, dithers, inks, lights, masks, open, thresholds, useStrip } from "./layout";
export { spreadGrey } from "./convert";

/** Planes with dots: bit 0 cyan, bit 1 magenta, bit 2 yellow, bit 3 black. */
const black: i32 = 8;

/** Eight rows of the input. Most of a page of text has no colour, and black alone is half the work. */
function eightRows(row: i32, maskRow: i32): i32 {
  if (!blackNeutrals || !takeGrey(row, 8)) return fourRows(row, maskRow) | fourRows(row + 4, maskRow + 4);
  for (let plane = 0; plane < 3; plane++) {
    memory.fill(output + <usize>(plane * planeStride + row * outputStride), 0, outputStride * 8);
  }
  return eightGreyRows(greyRows, widthPx, false, row, maskRow) ? black : 0;
}

/** Dots of so many rows of sRGB in the input; the first lies on row `maskRow` of the mask. Returns the planes with dots. */
export function colorRows(rows: i32, maskRow: i32): i32 {
  let row = 0;
  let planes = 0;
  for (; row + 8 <= rows; row += 8) planes |= eightRows(row, maskRow + row);
  for (; row + 4 <= rows; row += 4) planes |= fourRows(row, maskRow + row);
  for (; row < rows; row++) planes |= oneRow(row, maskRow + row);
  return planes;
}

/** The same in black alone, of grey (one byte a pixel, rows of `widthPx` bytes) or of sRGB. */
export function blackRows(rows: i32, maskRow: i32, color: bool): i32 {
  const stride = color ? inputStride : widthPx;
  let row = 0;
  let dots = false;
  for (; row + 8 <= rows; row += 8) {
    dots = eightGreyRows(input + <usize>(row * stride), stride, color, row, maskRow + row) || dots;
  }
  for (; row < rows; row++) dots = oneGreyRow(input + <usize>(row * stride), color, row, maskRow + row) || dots;
  return dots ? black : 0;
}

/** As `colorRows`, ordered. */
export function orderedColorRows(rows: i32, maskRow: i32): i32 {
  let planes = 0;
  for (let row = 0; row < rows; row++) planes |= orderedColorRow(row, maskRow + row);
  return planes;
}

/** As `blackRows`, ordered. */
export function orderedBlackRows(rows: i32, maskRow: i32, color: bool): i32 {
  const stride = color ? inputStride : widthPx;
  let dots = false;
  for (let row = 0; row < rows; row++) {
    dots = orderedBlackRow(input + <usize>(row * stride), color, row, maskRow + row) || dots;
  }
  return dots ? black : 0;
}
