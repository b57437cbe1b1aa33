/** One side of a sheet: drawn in strips that fit in memory, cut into bands, encoded, written. */
import type { SKRSContext2D } from "@napi-rs/canvas";
import { compose, translation } from "../../domain/geometry.ts";
import type { Placement } from "../../domain/imposition.ts";
import type { BandSettings, Rendered, RenderRequest } from "../protocol.ts";
import { BandFile } from "./band-file.ts";
import { maxBandRowsPx, runsOf, sliceRowsPx } from "./bands.ts";
import type { ReusedCanvas } from "./canvas.ts";
import { encodeColor, encodeGrey } from "./encode.ts";
import type { PageSource } from "./page-source.ts";
import { desaturate, packGrey, pixelContent } from "./pixels.ts";

/** Draws what of a placement lies on the strip that begins at `topPx`. */
async function drawPlacement(
  source: PageSource,
  { inputPage, matrix, clip }: Placement,
  context: SKRSContext2D,
  topPx: number,
): Promise<void> {
  if (clip.y >= topPx + context.canvas.height || clip.y + clip.height <= topPx) return;
  context.save();
  context.beginPath();
  context.rect(clip.x, clip.y - topPx, clip.width, clip.height);
  context.clip();
  await source.draw(inputPage, context, compose(translation(0, -topPx), matrix));
  context.restore();
}

/**
 * Gives memory back once nobody reads it any more, and the next band lies in it: to have the system make it anew, page by page, takes longer
 * than to fill it, and the garbage collector does not feel its weight.
 */
function giveBackAfter(
  reading: readonly Promise<unknown>[],
  { buffer }: Uint8Array | Uint8ClampedArray,
): void {
  void Promise.allSettled(reading).then(() => buffer instanceof ArrayBuffer && buffer.transfer(0));
}

/** Encodes the rows of a strip. Pixels leave the canvas a band at a time, so that few copies of them exist. */
async function encodeStrip(context: SKRSContext2D, settings: BandSettings, file: BandFile): Promise<void> {
  const { width, height } = context.canvas;
  const { jpegQuality, monochrome } = settings;
  for (let top = 0; top < height; top += maxBandRowsPx(width)) {
    const { data } = context.getImageData(0, top, width, Math.min(maxBandRowsPx(width), height - top));
    const pixels = new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4);
    if (monochrome) desaturate(pixels);
    const reading: Promise<unknown>[] = [];
    for (const { yPx, rowsPx, content } of runsOf(pixels, width)) {
      const rows = pixels.subarray(yPx * width, (yPx + rowsPx) * width);
      if (content === pixelContent.blank) await file.blank(rowsPx);
      else if (content === pixelContent.grey) {
        const grey = packGrey(rows);
        const encoded = encodeGrey(grey, width, rowsPx, jpegQuality);
        giveBackAfter([encoded], grey);
        await file.inked(rowsPx, content, encoded);
      } else {
        const encoded = encodeColor(rows, width, rowsPx, jpegQuality);
        reading.push(encoded);
        await file.inked(rowsPx, content, encoded);
      }
    }
    giveBackAfter(reading, data);
  }
}

/** Rows of a strip: the whole side if it fits, else whole slices. */
function stripRowsPx(widthPx: number, heightPx: number, maxCanvasPixels: number): number {
  if (widthPx * heightPx <= maxCanvasPixels) return heightPx;
  return Math.max(1, Math.floor(maxCanvasPixels / widthPx / sliceRowsPx)) * sliceRowsPx;
}

/** Throws what the source throws, and the file system's errors. */
export async function renderSide(
  source: PageSource,
  { side, bands, maxCanvasPixels, path }: RenderRequest,
  canvas: ReusedCanvas,
): Promise<Rendered> {
  const { widthPx, heightPx, placements } = side;
  const stripRows = stripRowsPx(widthPx, heightPx, maxCanvasPixels);
  await using file = await BandFile.create(path);
  try {
    for (let top = 0; top < heightPx; top += stripRows) {
      const context = canvas.take(widthPx, Math.min(stripRows, heightPx - top));
      for (const placement of placements) await drawPlacement(source, placement, context, top);
      await encodeStrip(context, bands, file);
    }
  } catch (error) {
    canvas.drop();
    throw error;
  }
  return await file.finish();
}
