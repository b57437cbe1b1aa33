/** PNG (third edition) of small pictures in memory. */
import { constants, deflateSync } from "node:zlib";
import { pngChunk, pngEnd, pngPalette, pngStart } from "../png.ts";

export interface Picture {
  readonly widthPx: number;
  readonly heightPx: number;
  /** A byte a pixel into `palette`, or three bytes, red, green, blue. */
  readonly pixels: Uint8Array;
  /** sRGB colours, `0xrrggbb`; without it the pixels are colours themselves. */
  readonly palette?: readonly number[];
}

export function encodePng({ widthPx, heightPx, pixels, palette }: Picture): Buffer {
  const strideBytes = palette ? widthPx : 3 * widthPx;
  const rows = Buffer.alloc((strideBytes + 1) * heightPx);
  for (let y = 0; y < heightPx; y++)
    rows.set(pixels.subarray(y * strideBytes, (y + 1) * strideBytes), y * (strideBytes + 1) + 1);
  return Buffer.concat([
    pngStart({ widthPx, heightPx, bitDepth: 8, pixels: palette ? "palette" : "rgb" }),
    ...(palette ? [pngPalette(palette)] : []),
    pngChunk("IDAT", deflateSync(rows, { level: constants.Z_BEST_SPEED })),
    pngEnd(),
  ]);
}
