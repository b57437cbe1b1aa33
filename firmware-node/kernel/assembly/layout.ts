/**
 * The kernel's memory. Tables and working memory lie at fixed addresses, which are then part of the instructions; what depends on
 * a page's width follows. The host fills the tables and the input, and reads the output.
 *
 * Widths are padded to blocks of 16 pixels; what is padded is white, and so never has dots.
 */

/** Pixels that are worked at once from conversion to dots: they stay in the first-level cache. */
export const chunkPx: i32 = 512;
export const blockPx: i32 = 16;
/** How many pixels a row follows behind the row above: error reaches three to the left, and has one more step to arrive. */
export const lagPx: i32 = 5;
/** As in src/pixels/ink-table.ts. */
export const full: i32 = 8192;
export const noInk: i32 = -1;
export const gridSide: i32 = 33;
export const maskSide: i32 = 128;

/** Points of the cube, and how far behind a point its opposite corner lies. */
const points: i32 = gridSide * gridSide * gridSide;
export const oppositePoint: i32 = gridSide * gridSide + gridSide + 1;

// Tables, written by the host. Each is followed by room for what is read beside a last entry.
/** 16 bytes a point: each ink of the point and of the opposite corner of its cell, in pairs, as 2 × coverage + 1. */
export const pairs: usize = 0x10000;
/** 8 bytes a point: its four inks, as 2 × coverage + 1. */
export const singles: usize = pairs + (points + oppositePoint) * 16;
/** 8 bytes a value: coverage of a neutral pixel, `noInk` for the colours. */
export const greys: usize = singles + (points + oppositePoint) * 8;
/** 2 bytes a value: black by light. */
export const blacks: usize = greys + 256 * 8;
/** 3 × 256 × 4 bytes: what red, green, blue add to a pixel's light. */
export const lights: usize = blacks + 8200 * 2;
/** 8 bytes a place of the mask: thresholds of the four planes but for the coverage's part. */
export const thresholds: usize = lights + 3 * 256 * 4;
/** 16 bytes: what coverage adds to the threshold, in 1/32768, four planes twice. */
export const biases: usize = thresholds + maskSide * maskSide * 8;

// Working memory.
/** Coverage of a chunk, 16 bytes a step: rows 0 and 1, then rows 2 and 3. On grey rows eight rows. */
export const coverageA: usize = biases + 16;
export const coverageB: usize = coverageA + (chunkPx + 4 * blockPx) * 16;
/** Thresholds of a group of rows along the mask, in the order of coverage. */
export const rowThresholds: usize = coverageB + (chunkPx + 4 * blockPx) * 16;
/** One byte a block of the chunk: what its rows hold, see `convert.ts`. */
export const blockFlags: usize = rowThresholds + maskSide * 32;
/** One byte a block of the chunk and a row: whether its coverage is white already. */
export const whiteBlocks: usize = blockFlags + 64;
/** Offsets into the cube of eight pixels. */
export const offsets: usize = whiteBlocks + 64 * 4;
const end: usize = (offsets + 64 + 63) & ~63;

// What depends on the width.
/** 8 bytes a pixel: error of the four planes that has come to the next row. */
export let errors: usize = 0;
/** Rows of pixels, `inputStride` bytes each, white beyond the width. */
export let input: usize = 0;
export let inputStride: i32 = 0;
/** Planes of `planeStride` bytes, rows of `outputStride` bytes: cyan, magenta, yellow, black. */
export let output: usize = 0;
export let outputStride: i32 = 0;
export let planeStride: i32 = 0;
/** Padded. */
export let widthPx: i32 = 0;

/** Pixels before and after the page that have error too: rows that follow behind begin before the page and end after it. */
const marginPx: i32 = 64;

@inline function errorsSize(): i32 {
  return (widthPx + 2 * marginPx) * 8;
}

/** Lays out memory for pages of this width and at most so many rows a call; all is 0. Once. */
export function open(width: i32, rowsMax: i32): void {
  widthPx = (width + blockPx - 1) & ~(blockPx - 1);
  inputStride = widthPx * 3;
  outputStride = widthPx >> 3;
  planeStride = outputStride * rowsMax;
  errors = end + marginPx * 8;
  input = end + errorsSize();
  // Cells are read whole, some bytes beyond the last pixel.
  output = (input + inputStride * rowsMax + 64) & ~63;
  const top = output + planeStride * 4 + 64;
  const pages = <i32>((top + 0xffff) >> 16) - memory.size();
  if (pages > 0) memory.grow(pages);
}

/** No error comes to the next row. */
export function clearErrors(): void {
  memory.fill(end, 0, errorsSize());
}
