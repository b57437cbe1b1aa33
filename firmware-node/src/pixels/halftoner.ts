/**
 * What makes dots of a page: bands of sRGB or grey in, planes of one bit a pixel out. However a page is cut into bands, and
 * whether its grey and blank rows come as grey and blank bands or as colour, the bits are the same.
 */

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
