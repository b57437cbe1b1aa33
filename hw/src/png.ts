/** Chunks of PNG (third edition), for pictures in memory and for those that are written row by row. */
import { crc32 } from "node:zlib";

export interface PngHeader {
  readonly widthPx: number;
  readonly heightPx: number;
  /** Bits a sample, or a pixel of a palette. */
  readonly bitDepth: 1 | 8;
  readonly pixels: "rgb" | "palette";
}

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** `type`: four letters. */
export function pngChunk(type: string, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, "latin1");
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

/** What a file begins with: signature and IHDR. Not interlaced. */
export function pngStart({ widthPx, heightPx, bitDepth, pixels }: PngHeader): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(widthPx, 0);
  header.writeUInt32BE(heightPx, 4);
  header[8] = bitDepth;
  header[9] = pixels === "rgb" ? 2 : 3;
  return Buffer.concat([signature, pngChunk("IHDR", header)]);
}

/** PLTE of sRGB colours, `0xrrggbb`. */
export const pngPalette = (colors: readonly number[]): Buffer =>
  pngChunk("PLTE", Uint8Array.from(colors.flatMap((rgb) => [rgb >> 16, (rgb >> 8) & 255, rgb & 255])));

/** Ends a file. */
export const pngEnd = (): Buffer => pngChunk("IEND", new Uint8Array(0));
