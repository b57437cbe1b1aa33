/**
 * The pixel kernel of one page: bands of sRGB or grey in, planes of one bit a pixel out. Plain and clear: it is the
 * definition of correct for faster kernels, which must give the same bits. However a page is cut into bands, and whether
 * its grey and blank rows come as grey and blank bands or as colour, the bits are the same.
 */
import { colorToBlack, colorToInks, greyToBlack } from "./coverage.ts";
import { floydSteinberg } from "./floyd-steinberg.ts";
import { orderedDither } from "./ordered.ts";
import type { Inks, Screen } from "./screen.ts";

/** What a band's pixels are: none, one byte of grey each, or three bytes of sRGB. */
export type BandKind = "blank" | "grey" | "color";

export type Colorant = "cyan" | "magenta" | "yellow" | "black";

/** One bit a pixel, most significant bit left, 1 = ink; rows of ceil(width / 8) bytes, bits beyond the width 0. */
export interface DotPlane {
  readonly colorant: Colorant;
  readonly bits: Uint8Array;
}

export interface Halftoner {
  /** ceil(width / 8). */
  readonly strideBytes: number;
  /**
   * The next `rows` rows of the page. `pixels` holds rows × width pixels of the kind. Planes without a dot are left out; the
   * order is cyan, magenta, yellow, black. The planes belong to the halftoner, and the next call overwrites them.
   */
  band(kind: BandKind, pixels: Uint8Array, rows: number): readonly DotPlane[];
}

/** Every algorithm by its name. */
const screens = {
  "floyd-steinberg": floydSteinberg,
  ordered: orderedDither,
} satisfies Record<string, (width: number, inks: Inks) => Screen>;

export type ScreenName = keyof typeof screens;

const colorants: readonly Colorant[] = ["black", "cyan", "magenta", "yellow"];
const planeOrder = [1, 2, 3, 0];

function hasDot(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return true;
  return false;
}

/** A halftoner for a page `width` pixels wide. */
export function makeHalftoner(name: ScreenName, width: number, inks: Inks): Halftoner {
  const screen = screens[name](width, inks);
  const strideBytes = Math.ceil(width / 8);
  const count = inks === "k" ? 1 : 4;
  const coverage = Array.from({ length: count }, () => new Int16Array(width));
  let buffers = coverage.map(() => new Uint8Array(0));

  /** The planes for a band, all 0. */
  const clearedPlanes = (sizeBytes: number): Uint8Array[] => {
    if (buffers[0]!.length < sizeBytes) buffers = coverage.map(() => new Uint8Array(sizeBytes));
    return buffers.map((buffer) => buffer.subarray(0, sizeBytes).fill(0));
  };

  const layRow = (kind: BandKind, pixels: Uint8Array, y: number, planes: readonly Uint8Array[]): void => {
    const k = coverage[0]!;
    const offset = y * strideBytes;
    if (kind === "color" && inks === "cmyk") {
      colorToInks(pixels, y * width * 3, width, coverage);
      screen.row(coverage, planes, offset);
      return;
    }
    if (kind === "color") colorToBlack(pixels, y * width * 3, width, k);
    else greyToBlack(pixels, y * width, width, k);
    screen.blackRow(k, planes[0]!, offset);
  };

  return {
    strideBytes,
    band(kind, pixels, rows) {
      if (kind === "blank") {
        screen.blankRows(rows);
        return [];
      }
      const planes = clearedPlanes(rows * strideBytes);
      for (let y = 0; y < rows; y++) layRow(kind, pixels, y, planes);
      return planeOrder
        .filter((plane) => plane < count && hasDot(planes[plane]!))
        .map((plane) => ({ colorant: colorants[plane]!, bits: planes[plane]! }));
    },
  };
}
