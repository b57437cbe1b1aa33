/**
 * Memory of the kernel (kernel.ts), which threads share, and the strips in it: one thread lays pixels there, another one makes dots of
 * them, and the first one has them, and nothing is copied between. The system gives memory as it is touched, so that strips
 * take what the widest page so far has needed, however large they could be.
 */

import type { BandKind } from "./halftoner.ts";

export type PixelKind = Exclude<BandKind, "blank">;

/** Some rows of a page. Both are shared memory. */
export interface Strip {
  /** `rowsOf` tells how many rows it holds; as `fill` lays them. */
  readonly pixels: Uint8Array;
  /** Of cyan, magenta, yellow and black in equal parts. */
  readonly planes: Uint8Array;
}

/** What the kernel has for itself, tables and error: see kernel/assembly/layout.ts. */
const kernelBytes = 2 * 1024 * 1024;
const pageBytes = 64 * 1024;
const blockPx = 16;

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

/** Rows of so wide a page that fit into so many bytes of a strip's pixels, in any kind. */
export const rowsOf = (pixelBytes: number, widthPx: number): number =>
  Math.floor(pixelBytes / (roundUp(widthPx, blockPx) * 3));

/** Memory with `count` strips of so many bytes of pixels. */
export function makeStrips(
  count: number,
  pixelBytes: number,
): { memory: WebAssembly.Memory; strips: Strip[] } {
  // A pixel's three bytes become four bits. Parts that begin at whole cache lines.
  const [pixelRoom, planeRoom] = [roundUp(pixelBytes, 64), roundUp(pixelBytes / 24, 64) * 4];
  const sizePages = Math.ceil((kernelBytes + count * (pixelRoom + planeRoom)) / pageBytes);
  const memory = new WebAssembly.Memory({ initial: sizePages, maximum: sizePages, shared: true });
  const strips = Array.from({ length: count }, (_, i) => {
    const at = kernelBytes + i * (pixelRoom + planeRoom);
    return {
      pixels: new Uint8Array(memory.buffer, at, pixelRoom),
      planes: new Uint8Array(memory.buffer, at + pixelRoom, planeRoom),
    };
  });
  return { memory, strips };
}

/** Lays rows of pixels in a strip as the kernel reads them: padded with white to a multiple of 16. Throws RangeError when there are too few. */
export function fill(strip: Strip, pixels: Uint8Array, kind: PixelKind, widthPx: number, rows: number): void {
  const bytesPerPixel = kind === "grey" ? 1 : 3;
  const rowBytes = widthPx * bytesPerPixel;
  const paddedBytes = roundUp(widthPx, blockPx) * bytesPerPixel;
  if (pixels.length < rows * rowBytes) {
    throw new RangeError(`${rows} rows of ${rowBytes} bytes are more than ${pixels.length}`);
  }
  if (rowBytes === paddedBytes) {
    strip.pixels.set(pixels.subarray(0, rows * rowBytes));
    return;
  }
  for (let y = 0; y < rows; y++) {
    strip.pixels.set(pixels.subarray(y * rowBytes, (y + 1) * rowBytes), y * paddedBytes);
    strip.pixels.fill(255, y * paddedBytes + rowBytes, (y + 1) * paddedBytes);
  }
}
