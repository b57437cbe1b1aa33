/** Pixels of a band to bytes, by sharp. */
import { BandEncoding } from "@platen/proto/metafile";
import sharp from "sharp";
import { shadingShare } from "./pixels.ts";

export interface EncodedBand {
  readonly encoding: BandEncoding;
  readonly data: Uint8Array;
}

/** Rows that are looked at to tell text from photographs: one in so many. */
const everyRows = 8;

/**
 * With less shading than that PNG is smaller than JPEG, as quick, and keeps JPEG's ringing away from black text; with more
 * it is up to twenty times larger. Measured band by band on text, charts, forms, ramps and photographs from 150 to 1200 dpi.
 */
const maxShadingOfPng = 0.025;

/** Level 1 of libpng is no quicker and a third larger, level 6 takes twice as long and is a tenth smaller. */
const png = { compressionLevel: 2, adaptiveFiltering: false };

async function encode(
  pixels: Uint8Array | Uint32Array,
  widthPx: number,
  rowsPx: number,
  jpegQuality: number,
): Promise<EncodedBand> {
  const grey = pixels instanceof Uint8Array;
  const bytes = new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  const raw = { width: widthPx, height: rowsPx, channels: grey ? 1 : 4 } as const;
  const image = grey ? sharp(bytes, { raw }).toColourspace("b-w") : sharp(bytes, { raw }).removeAlpha();
  if (shadingShare(pixels, widthPx, everyRows) <= maxShadingOfPng) {
    const data = await image.png(png).toBuffer();
    return { encoding: BandEncoding.PNG, data };
  }
  const data = await image
    .jpeg({ quality: jpegQuality, chromaSubsampling: "4:4:4", optimiseCoding: false })
    .toBuffer();
  return { encoding: BandEncoding.JPEG, data };
}

/** Grey, one byte a pixel. */
export const encodeGrey: (
  grey: Uint8Array,
  widthPx: number,
  rowsPx: number,
  jpegQuality: number,
) => Promise<EncodedBand> = encode;

/** Opaque pixels as words. */
export const encodeColor: (
  pixels: Uint32Array,
  widthPx: number,
  rowsPx: number,
  jpegQuality: number,
) => Promise<EncodedBand> = encode;
