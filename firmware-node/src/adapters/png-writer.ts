/**
 * Writes a PNG row by row, so that memory is bounded by what is passed in at once (PNG specification, third edition; the
 * rows are not filtered: what is written here are dots, which no filter makes smaller).
 */
import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { constants, createDeflate } from "node:zlib";
import { pngChunk, pngEnd, pngPalette, pngStart } from "@platen/hw/png";

export type PngKind =
  /** 8 bits a channel, red, green, blue. */
  | { readonly kind: "rgb" }
  /** One bit a pixel, most significant bit left, into a palette of two sRGB colours. */
  | { readonly kind: "two-colors"; readonly colors: readonly [number, number] };

export interface PngOptions {
  readonly widthPx: number;
  readonly heightPx: number;
  /** Written as the physical size of a pixel. */
  readonly resolutionDpi: number;
  readonly pixels: PngKind;
}

function head({ widthPx, heightPx, resolutionDpi, pixels }: PngOptions): Buffer {
  const physical = Buffer.alloc(9);
  const pixelsPerMetre = Math.round(resolutionDpi / 0.0254);
  physical.writeUInt32BE(pixelsPerMetre, 0);
  physical.writeUInt32BE(pixelsPerMetre, 4);
  physical[8] = 1;
  const start =
    pixels.kind === "rgb"
      ? pngStart({ widthPx, heightPx, bitDepth: 8, pixels: "rgb" })
      : pngStart({ widthPx, heightPx, bitDepth: 1, pixels: "palette" });
  const palette = pixels.kind === "two-colors" ? [pngPalette(pixels.colors)] : [];
  return Buffer.concat([start, pngChunk("pHYs", physical), ...palette]);
}

export class PngWriter {
  readonly #strideBytes: number;
  readonly #deflate = createDeflate({ level: constants.Z_BEST_SPEED, memLevel: 9 });
  readonly #file: WriteStream;
  readonly #written: Promise<void>;

  /** Opens `path`, overwriting what is there. */
  constructor(path: string, options: PngOptions) {
    this.#strideBytes = options.pixels.kind === "rgb" ? options.widthPx * 3 : Math.ceil(options.widthPx / 8);
    const frame = async function* (deflated: AsyncIterable<Buffer>) {
      yield head(options);
      for await (const data of deflated) yield pngChunk("IDAT", data);
      yield pngEnd();
    };
    this.#file = createWriteStream(path, { flush: true });
    this.#written = pipeline(this.#deflate, frame, this.#file);
    // Told by `write` and `finish`; not as an unhandled rejection in between.
    this.#written.catch(() => {});
  }

  /** Writes whole rows. Resolves when there is room for more, and `rows` is the caller's again; rejects when the disk is full. */
  async write(rows: Uint8Array): Promise<void> {
    const count = rows.length / this.#strideBytes;
    const filtered = Buffer.alloc(rows.length + count);
    for (let row = 0; row < count; row++) {
      const start = row * this.#strideBytes;
      filtered.set(rows.subarray(start, start + this.#strideBytes), start + row + 1);
    }
    if (this.#deflate.destroyed) return this.#written;
    if (this.#deflate.write(filtered)) return;
    await Promise.race([once(this.#deflate, "drain"), this.#written]);
  }

  /** Resolves when the file is whole, and on the disk. */
  async finish(): Promise<void> {
    if (!this.#deflate.destroyed) this.#deflate.end();
    await this.#written;
  }

  /** Gives up; the file is left as it is, closed, for the caller to remove. */
  async abandon(): Promise<void> {
    this.#deflate.destroy();
    this.#file.destroy();
    await this.#written.catch(() => {});
    // A file that is still being opened would come into being after it has been removed. Its own error, of having been
    // destroyed, may be told before it is closed: `once` would take that for the answer.
    if (!this.#file.closed) await new Promise<void>((resolve) => this.#file.once("close", () => resolve()));
  }
}
