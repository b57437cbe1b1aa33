/**
 * The kernel's memory, which its host's threads share (src/pixels/strip-memory.ts). Tables and working memory lie at fixed addresses, which
 * are then part of the instructions, with room for the widest page: what is not touched takes no memory. Strips follow: pixels are
 * read, and planes written, where the host has them.
 *
 * Rows of pixels are padded to blocks of 16; what is padded is white, and so never has dots. Rows of planes are not.
 */

/** Pixels that are worked at once from conversion to dots: they stay in the first-level cache. */
export const chunkPx: i32 = 512;
export const blockPx: i32 = 16;
/** How many pixels a row follows behind the row above: error reaches three to the left. */
export const lagPx: i32 = 4;
/** As in src/pixels/ink-table.ts. */
export const full: i32 = 8192;
/** As in src/pixels/shiau-fan.ts: coverage up to it is laid by the mask, and needs so much error. */
export const lightest: i32 = 246;
export const leastError: i32 = 384;
/** Shifted so far to the left, a comparison's −1 is −`full`. */
export const fullBits: i32 = 13;
export const gridSide: i32 = 33;
export const maskSide: i32 = 128;

const points: i32 = gridSide * gridSide * gridSide;
const lightEntries: i32 = 8193;

// Tables, written by the host.
/** 8 bytes an entry, the four inks: the points of the cube, then neutral pixels by their value. */
export const inks: usize = 0x10000;
/** Where the neutral pixels begin; paper white is the last. */
export const greyInks: i32 = <i32>inks + points * 8;
export const whiteInks: i32 = greyInks + 255 * 8;
/** 2 bytes an entry, black: by light, then of neutral pixels by their value. */
export const blacks: usize = whiteInks + 8;
export const greyBlacks: i32 = <i32>blacks + lightEntries * 2;
export const whiteBlack: i32 = greyBlacks + 255 * 2;
/** 3 × 256 × 4 bytes: what red, green, blue add to a pixel's light. */
export const lights: usize = (whiteBlack + 2 + 15) & ~15;
/** 8 bytes a place of the mask: of the four planes twice the thresholds but for the coverage's part; of drafts, the thresholds. */
export const thresholds: usize = lights + 3 * 256 * 4;
/** 8 bytes a place of the mask: the mask of the four planes. */
export const masks: usize = thresholds + maskSide * maskSide * 8;
/** 4 bytes a place of the mask: threshold of the look-up, twice. */
export const dithers: usize = masks + maskSide * maskSide * 8;

// Working memory.
/** Bytes that a row of `entries` takes. */
export const entriesStride: i32 = (chunkPx + 4 * blockPx) * 4;
/** A chunk's pixels as addresses of entries of `inks` or `blacks`, 4 bytes a pixel, one row after another. */
export const entries: usize = dithers + maskSide * maskSide * 4;
/** Thresholds and masks of a group of rows along the mask, row beside row. */
export const rowThresholds: usize = entries + 8 * entriesStride;
/** One byte a block of the chunk: what its rows hold, see `convert.ts`. */
export const blockFlags: usize = rowThresholds + maskSide * 64;
const errorsBegin: usize = (blockFlags + 64 + 63) & ~63;

/** The widest page, padded. */
const widthMaxPx: i32 = 65536;
/** Pixels before and after the page that have error too: rows that follow behind begin before the page and end after it. */
const marginPx: i32 = 64;
/** 8 bytes a pixel: error of the four planes that has come to the next row. */
export const errors: usize = errorsBegin + marginPx * 8;
/** Rows of black alone that were told from rows of sRGB: `widthPx` bytes each, eight rows. Less than 2 MiB end with them. */
export const greyRows: usize = errors + (widthMaxPx + marginPx) * 8;

// The page at work.
/** Padded. */
export let widthPx: i32 = 0;
/** Of a row of pixels of sRGB. */
export let inputStride: i32 = 0;
/** Of a row of a plane. */
export let outputStride: i32 = 0;
/** The block of whose dots only the left byte lies on the page; −1: none. */
export let narrowX: i32 = -1;
/** Whether cells of neutral pixels are made of black alone. */
export let blackNeutrals: bool = true;

// The strip at work, beyond 2 MiB, where the host has it.
/** Rows of pixels, white beyond the width; at least 64 bytes that can be read follow them. */
export let input: usize = 0;
/** Planes of `planeStride` bytes, rows of `outputStride` bytes: cyan, magenta, yellow, black. */
export let output: usize = 0;
export let planeStride: i32 = 0;

/** Begins a page, at most 65535 pixels wide. */
export function open(width: i32, neutralsAreBlack: bool): void {
  blackNeutrals = neutralsAreBlack;
  widthPx = (width + blockPx - 1) & ~(blockPx - 1);
  inputStride = widthPx * 3;
  outputStride = (width + 7) >> 3;
  narrowX = outputStride & 1 ? widthPx - blockPx : -1;
  clearErrors();
}

/** Rows are read and written there from now on. */
export function useStrip(pixels: usize, planes: usize, planeBytes: i32): void {
  input = pixels;
  output = planes;
  planeStride = planeBytes;
}

/** No error comes to the next row. */
export function clearErrors(): void {
  memory.fill(errorsBegin, 0, (widthPx + 2 * marginPx) * 8);
}
