/**
 * Writes a PNG row by row, so that memory is bounded by what is passed in at once (PNG specification, third edition; the
 * rows are not filtered: what is written here are dots, which no filter makes smaller).
 */
import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { constants, crc32, createDeflate } from "node:zlib";

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

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

function chunk(type: string, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, "latin1");
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

function head({ widthPx, heightPx, resolutionDpi, pixels }: PngOptions): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(widthPx, 0);
  header.writeUInt32BE(heightPx, 4);
  header[8] = pixels.kind === "rgb" ? 8 : 1;
  header[9] = pixels.kind === "rgb" ? 2 : 3;
  const physical = Buffer.alloc(9);
  const pixelsPerMetre = Math.round(resolutionDpi / 0.0254);
  physical.writeUInt32BE(pixelsPerMetre, 0);
  physical.writeUInt32BE(pixelsPerMetre, 4);
  physical[8] = 1;
  const chunks = [signature, chunk("IHDR", header), chunk("pHYs", physical)];
  if (pixels.kind === "two-colors") {
    const colors = pixels.colors.flatMap((rgb) => [rgb >> 16, (rgb >> 8) & 255, rgb & 255]);
    chunks.push(chunk("PLTE", Uint8Array.from(colors)));
  }
  return Buffer.concat(chunks);
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
      for await (const data of deflated) yield chunk("IDAT", data);
      yield chunk("IEND", new Uint8Array(0));
    };
    this.#file = createWriteStream(path);
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

  /** Resolves when the file is whole. */
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
