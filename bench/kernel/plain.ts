/**
 * The kernel's work as well as plain TypeScript does it, for comparison: rows in place, typed arrays, tables made beforehand,
 * nothing allocated in a loop. The same dots.
 */
import type { InkTable } from "../../firmware-node/src/pixels/ink-table.ts";
import { full, gridSide } from "../../firmware-node/src/pixels/ink-table.ts";
import { tablesOf } from "../../firmware-node/src/pixels/kernel.ts";
import { maskSide } from "../../firmware-node/src/pixels/blue-noise.ts";
import { leastError, lightest } from "../../firmware-node/src/pixels/shiau-fan.ts";

const points = gridSide ** 3;

/** Halftones a page of sRGB; `planes` are cyan, magenta, yellow, black, all 0 before. */
export function plainKernel(
  table: InkTable,
  width: number,
): (pixels: Uint8Array, planes: Uint8Array[]) => void {
  const { inks, thresholds, masks, dithers } = tablesOf(table);
  const strideBytes = Math.ceil(width / 8);
  /** Entry of `inks` of each pixel of the row. */
  const entries = new Uint16Array(width);

  /** Where the row's pixels lie in `inks`. */
  function lookUp(pixels: Uint8Array, offset: number, mask: number): void {
    for (let cell = 0; cell < width; cell += 8) {
      const end = Math.min(cell + 8, width);
      let differ = 0;
      for (let p = offset + cell * 3; p < offset + end * 3; p += 3) {
        differ |= (pixels[p]! ^ pixels[p + 1]!) | (pixels[p]! ^ pixels[p + 2]!);
      }
      for (let x = cell, p = offset + cell * 3; x < end; x++, p += 3) {
        const r = pixels[p]!;
        const g = pixels[p + 1]!;
        const b = pixels[p + 2]!;
        if (differ === 0 || (r | g | b) === 0 || (r & g & b) === 255) {
          entries[x] = points + r;
          continue;
        }
        const t = dithers[(mask + (x & (maskSide - 1))) * 2]!;
        const red = (r + (r >> 7) + t) >> 3;
        const green = (g + (g >> 7) + t) >> 3;
        entries[x] = (red * gridSide + green) * gridSide + ((b + (b >> 7) + t) >> 3);
      }
    }
  }

  /**
   * One plane of the row. `errors[x]` is what comes to pixel x, and afterwards to the pixel below; `black` has the row's dots of
   * black, for colours.
   */
  function diffuse(
    plane: number,
    errors: Int16Array,
    bits: Uint8Array,
    offset: number,
    mask: number,
    black?: Uint8Array,
  ): void {
    let right = 0;
    let left3 = 0;
    let left2 = 0;
    let left1 = 0;
    let dots = 0;
    for (let x = 0; x < width; x++) {
      const asked = inks[entries[x]! * 4 + plane]!;
      let error = 0;
      dots <<= 1;
      if (asked > full) dots |= 1;
      else if (asked >= 0) {
        error = errors[x + 3]! + right;
        const place = (mask + (x & (maskSide - 1))) * 4 + plane;
        const hidden = black !== undefined && (black[offset + (x >> 3)]! & (128 >> (x & 7))) !== 0;
        if (hidden) {
          if (asked + (error >> 5) > masks[place]!) dots |= 1;
        } else {
          const over =
            asked <= lightest
              ? asked + (error >> 5) > masks[place]! && error >= leastError
              : asked + error > (thresholds[place]! + asked + 1) >> 1;
          error += asked;
          if (over) {
            error -= full;
            dots |= 1;
          }
        }
      }
      const half = error >> 1;
      const quarter = error >> 2;
      const eighth = error >> 3;
      const sixteenth = error >> 4;
      right = half - sixteenth;
      errors[x] = left3 + error - half - quarter - eighth - sixteenth;
      left3 = left2 + sixteenth;
      left2 = left1 + eighth;
      left1 = quarter + sixteenth;
      if ((x & 7) === 7) bits[offset + (x >> 3)] = dots;
    }
    errors[width] = left3;
    errors[width + 1] = left2;
    errors[width + 2] = left1;
    if (width & 7) bits[offset + (width >> 3)] = dots << (8 - (width & 7));
  }

  return (pixels, planes) => {
    const errors = planes.map(() => new Int16Array(width + 3));
    const rows = pixels.length / (width * 3);
    for (let y = 0; y < rows; y++) {
      const mask = (y & (maskSide - 1)) * maskSide;
      lookUp(pixels, y * width * 3, mask);
      const black = planes[3]!;
      diffuse(3, errors[3]!, black, y * strideBytes, mask);
      for (let plane = 0; plane < 3; plane++)
        diffuse(plane, errors[plane]!, planes[plane]!, y * strideBytes, mask, black);
    }
  };
}
