/** What the dots look like from afar: averaged in linear light, as the ideal engine of pixels/ink-table.ts has them. */
import type { PlanarBand } from "../ports/engine-driver.ts";

/** Dots averaged into one pixel, across and along: the power of two that brings the preview nearest to 150 dpi. */
export function previewFactor(resolutionDpi: number): 1 | 2 | 4 | 8 {
  const factors = [1, 2, 4, 8] as const;
  return factors.reduce((best, factor) =>
    Math.abs(resolutionDpi / factor - 150) < Math.abs(resolutionDpi / best - 150) ? factor : best,
  );
}

/** sRGB (IEC 61966-2-1) of 4096 steps of linear light. */
const encoded = Uint8Array.from({ length: 4097 }, (_, step) => {
  const light = step / 4096;
  return Math.round(255 * (light <= 0.0031308 ? light * 12.92 : 1.055 * light ** (1 / 2.4) - 0.055));
});

const bitsOfByte = Uint8Array.from({ length: 256 }, (_, byte) => {
  let bits = 0;
  for (let rest = byte; rest; rest >>= 1) bits += rest & 1;
  return bits;
});

/** The inks that take red, green and blue out of the light; black takes all. */
const inksOfChannel = ["cyan", "magenta", "yellow"] as const;

export class Preview {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly #factor: number;
  readonly #pageWidthPx: number;
  readonly #pageHeightPx: number;
  /** Dark dots of each pixel of the row under way, three channels. */
  readonly #dark: Uint16Array;
  #rowsInPixel = 0;
  #y = 0;

  constructor(widthPx: number, heightPx: number, resolutionDpi: number) {
    this.#factor = previewFactor(resolutionDpi);
    this.#pageWidthPx = widthPx;
    this.#pageHeightPx = heightPx;
    this.widthPx = Math.ceil(widthPx / this.#factor);
    this.heightPx = Math.ceil(heightPx / this.#factor);
    this.#dark = new Uint16Array(this.widthPx * 3);
  }

  /** Takes a band, and gives the rows of the preview that are whole with it: sRGB, three bytes a pixel. */
  add(band: PlanarBand): Uint8Array {
    const { rowsPx, strideBytes } = band;
    const plane = (name: string) => band.planes.find(({ colorant }) => colorant === name)?.bits;
    const black = plane("black");
    const inks = inksOfChannel.map(plane);
    const rowsMost = Math.ceil((this.#rowsInPixel + rowsPx) / this.#factor);
    const out = new Uint8Array(rowsMost * this.widthPx * 3);
    let written = 0;
    for (let row = 0; row < rowsPx; row++) {
      for (let channel = 0; channel < 3; channel++) {
        const ink = inks[channel];
        if (ink || black) this.#count(channel, ink, black, row * strideBytes, strideBytes);
      }
      this.#rowsInPixel++;
      this.#y++;
      if (this.#rowsInPixel === this.#factor || this.#y === this.#pageHeightPx) {
        this.#emit(out, written);
        written += this.widthPx * 3;
      }
    }
    return out.subarray(0, written);
  }

  /** Counts the dots of a row that take a channel's light: those of its ink or of black, each place once. */
  #count(
    channel: number,
    ink: Uint8Array | undefined,
    black: Uint8Array | undefined,
    offset: number,
    strideBytes: number,
  ): void {
    const dark = this.#dark;
    const factor = this.#factor;
    const mask = 0xff >> (8 - factor);
    for (let i = 0; i < strideBytes; i++) {
      const byte = (ink ? ink[offset + i]! : 0) | (black ? black[offset + i]! : 0);
      if (byte === 0) continue;
      let at = ((i * 8) / factor) * 3 + channel;
      for (let shift = 8 - factor; shift >= 0; shift -= factor, at += 3) {
        const bits = (byte >> shift) & mask;
        if (bits) dark[at]! += bitsOfByte[bits]!;
      }
    }
  }

  #emit(out: Uint8Array, offset: number): void {
    const lastWidth = this.#pageWidthPx - (this.widthPx - 1) * this.#factor;
    for (let x = 0; x < this.widthPx; x++) {
      const dots = (x === this.widthPx - 1 ? lastWidth : this.#factor) * this.#rowsInPixel;
      for (let channel = 0; channel < 3; channel++) {
        const light = dots - this.#dark[x * 3 + channel]!;
        out[offset + x * 3 + channel] = encoded[Math.round((4096 * light) / dots)]!;
      }
    }
    this.#dark.fill(0);
    this.#rowsInPixel = 0;
  }
}
