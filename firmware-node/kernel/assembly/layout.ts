/**
 * The kernel's memory, laid out once for a page's width. All tables and buffers lie here; the host fills the tables and the
 * input, and reads the output, through addresses that `open` sets.
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

// Tables, written by the host.
/** 16 bytes a point: each ink of the point and of the opposite corner of its cell, in pairs, as 2 × coverage + 1. */
export let pairs: usize = 0;
/** 8 bytes a point: its four inks, as 2 × coverage + 1. */
export let singles: usize = 0;
/** 8 bytes a value: coverage of a neutral pixel, `noInk` for the colours. */
export let greys: usize = 0;
/** 2 bytes a value: black by light. */
export let blacks: usize = 0;
/** 3 × 256 × 4 bytes: what red, green, blue add to a pixel's light. */
export let lights: usize = 0;
/** 8 bytes a place of the mask: thresholds of the four planes but for the coverage's part. */
export let thresholds: usize = 0;
/** 16 bytes: what coverage adds to the threshold, in 1/32768, four planes twice. */
export let biases: usize = 0;

// Working memory.
/** 8 bytes a pixel: error of the four planes that has come to the next row. */
export let errors: usize = 0;
/** Coverage of a chunk, 16 bytes a step: rows 0 and 1, then rows 2 and 3. On grey rows eight rows. */
export let coverageA: usize = 0;
export let coverageB: usize = 0;
/** Thresholds of a group of rows along the mask, in the order of coverage. */
export let rowThresholds: usize = 0;
/** One byte a block of the chunk: what its rows hold, see `convert.ts`. */
export let blockFlags: usize = 0;
/** Offsets into the cube of eight pixels. */
export let offsets: usize = 0;

// The host's input and output.
/** Rows of pixels, `inputStride` bytes each, white beyond the width. */
export let input: usize = 0;
export let inputStride: i32 = 0;
/** Planes of `planeStride` bytes, rows of `outputStride` bytes: cyan, magenta, yellow, black. */
export let output: usize = 0;
export let outputStride: i32 = 0;
export let planeStride: i32 = 0;
/** Padded. */
export let widthPx: i32 = 0;

let top: usize = 0;
function take(sizeBytes: i32): usize {
  const start = top;
  // Blocks are read whole, 16 bytes beyond their last pixel.
  top = (start + <usize>sizeBytes + 64 + 63) & ~63;
  return start;
}

/** Error of pixel x lies at `errors + (x + margin) × 8`: rows that follow behind begin before the page. */
const marginBefore: i32 = 64;
const marginAfter: i32 = 64;

/** Lays out memory for pages of this width and at most so many rows a call; all buffers are 0. */
export function open(width: i32, rowsMax: i32): void {
  widthPx = (width + blockPx - 1) & ~(blockPx - 1);
  top = (__heap_base + 63) & ~63;
  pairs = take((points + oppositePoint) * 16);
  singles = take((points + oppositePoint) * 8);
  greys = take(256 * 8);
  blacks = take(8193 * 2);
  lights = take(3 * 256 * 4);
  thresholds = take(maskSide * maskSide * 8);
  biases = take(16);
  errors = take((marginBefore + widthPx + marginAfter) * 8) + marginBefore * 8;
  coverageA = take((chunkPx + 4 * blockPx) * 16);
  coverageB = take((chunkPx + 4 * blockPx) * 16);
  rowThresholds = take(maskSide * 32);
  blockFlags = take(chunkPx / blockPx + 1);
  offsets = take(64);
  inputStride = widthPx * 3;
  outputStride = widthPx >> 3;
  planeStride = outputStride * rowsMax;
  input = take(inputStride * rowsMax);
  output = take(planeStride * 4);
  const pages = <i32>((top + 0xffff) >> 16) - memory.size();
  if (pages > 0) memory.grow(pages);
}

/** No error comes to the next row. */
export function clearErrors(): void {
  memory.fill(errors - marginBefore * 8, 0, (marginBefore + widthPx + marginAfter) * 8);
}
