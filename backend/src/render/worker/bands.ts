/**
 * Cuts a side into bands: full-width runs of rows that are blank, grey or coloured all through (metafile.proto, Band).
 *
 * Rows are looked at in slices of 16 (two rows of JPEG blocks). Neighbouring slices of one kind make a band, so that what has no
 * ink is never encoded, sent, decoded or halftoned, and what has no colour touches one plane.
 */
import { type PixelContent, pixelContent, isGrey } from "./pixels.ts";

/** Every band but the last of a side is a whole number of slices high. */
export const sliceRowsPx = 16;

/** A shorter run joins its neighbour: each band costs a header, and a call of an encoder and a decoder. */
const leastRowsPx = 64;

/** Of a decoded band, RGB: a controller has room for about four, and what it waits for at the top of a page is one. */
const maxBandBytes = 2 * 1024 * 1024;

/** Rows of a band of that width at most: whole slices, about 2 MiB of RGB. */
export const maxBandRowsPx = (widthPx: number): number =>
  Math.max(1, Math.floor(maxBandBytes / (3 * widthPx * sliceRowsPx))) * sliceRowsPx;

/** A run of rows. */
export interface Run {
  readonly yPx: number;
  readonly rowsPx: number;
  readonly content: PixelContent;
}

/** White pixels to compare with. */
const white = Buffer.alloc(64 * 1024, 0xff);

/** Whether pixels are all white: a native comparison, which stops at the first difference. */
function isWhite(pixels: Uint32Array): boolean {
  const bytes = Buffer.from(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  for (let start = 0; start < bytes.length; start += white.length) {
    const end = Math.min(start + white.length, bytes.length);
    if (bytes.compare(white, 0, end - start, start, end) !== 0) return false;
  }
  return true;
}

/** What pixels hold, exactly. */
export function contentOf(pixels: Uint32Array): PixelContent {
  if (isWhite(pixels)) return pixelContent.blank;
  return isGrey(pixels) ? pixelContent.grey : pixelContent.color;
}

/** Joins neighbours of one content. */
function joinEqual(runs: readonly Run[]): Run[] {
  const joined: Run[] = [];
  for (const run of runs) {
    const last = joined.at(-1);
    if (last?.content === run.content)
      joined[joined.length - 1] = { ...last, rowsPx: last.rowsPx + run.rowsPx };
    else joined.push(run);
  }
  return joined;
}

/** What a short run becomes: the content of the neighbour that holds more than itself, the lesser of the two if both do. */
function absorbed(runs: readonly Run[], index: number): PixelContent | undefined {
  const run = runs[index];
  if (!run || run.rowsPx >= leastRowsPx) return undefined;
  // A blank run at the edge may go on beyond it.
  const atEdge = index === 0 || index === runs.length - 1;
  if (atEdge && run.content === pixelContent.blank) return undefined;
  return [runs[index - 1]?.content, runs[index + 1]?.content]
    .filter((content) => content !== undefined && content > run.content)
    .sort()[0];
}

/** Joins runs until none is short beside a richer one. Content only grows: a band that is blank, or grey, is so all through. */
function joinShort(runs: readonly Run[]): Run[] {
  const joined = joinEqual(runs);
  for (const [index, run] of joined.entries()) {
    const content = absorbed(joined, index);
    if (content !== undefined) return joinShort(joined.with(index, { ...run, content }));
  }
  return joined;
}

/** The runs of rows of pixels, from top to bottom; `yPx` counts from the first row. */
export function runsOf(pixels: Uint32Array, widthPx: number): Run[] {
  const slices: Run[] = [];
  for (let start = 0; start < pixels.length; start += widthPx * sliceRowsPx) {
    const slice = pixels.subarray(start, start + widthPx * sliceRowsPx);
    slices.push({ yPx: start / widthPx, rowsPx: slice.length / widthPx, content: contentOf(slice) });
  }
  return joinShort(slices);
}
