/** PNG (third edition) of small pictures in memory. */
import { constants, crc32, deflateSync } from "node:zlib";

export interface Picture {
  readonly widthPx: number;
  readonly heightPx: number;
  /** A byte a pixel into `palette`, or three bytes, red, green, blue. */
  readonly pixels: Uint8Array;
  /** sRGB colours, `0xrrggbb`; without it the pixels are colours themselves. */
  readonly palette?: readonly number[];
}

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

function chunk(type: string, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, "latin1");
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

export function encodePng({ widthPx, heightPx, pixels, palette }: Picture): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(widthPx, 0);
  header.writeUInt32BE(heightPx, 4);
  header[8] = 8;
  header[9] = palette ? 3 : 2;
  const strideBytes = palette ? widthPx : 3 * widthPx;
  const rows = Buffer.alloc((strideBytes + 1) * heightPx);
  for (let y = 0; y < heightPx; y++)
    rows.set(pixels.subarray(y * strideBytes, (y + 1) * strideBytes), y * (strideBytes + 1) + 1);
  const colors = palette?.flatMap((rgb) => [rgb >> 16, (rgb >> 8) & 255, rgb & 255]);
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    ...(colors ? [chunk("PLTE", Uint8Array.from(colors))] : []),
    chunk("IDAT", deflateSync(rows, { level: constants.Z_BEST_SPEED })),
    chunk("IEND", new Uint8Array(0)),
  ]);
}
