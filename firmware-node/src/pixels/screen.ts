/** What a halftoning algorithm is. */

/** Inks of a page: black alone, or cyan, magenta, yellow and black. */
export type Inks = "k" | "cmyk";

/** Halftones by name: error diffusion (shiau-fan.ts), the best to look at, and ordered dither (ordered.ts), for drafts. */
export type HalftoneName = "shiau-fan" | "ordered";

/** An algorithm at work on one plane of a page: coverage in, dots out, row by row from the top. */
export interface PlaneScreen {
  /**
   * One row: `coverage` of pixel x at `first + x × step`; sets bits of `plane` from byte `offset` on, which are 0 before. A
   * colour has to be told the dots of black, in the same places of `black`; undefined: there is no black.
   */
  row(
    coverage: Int16Array,
    first: number,
    step: number,
    plane: Uint8Array,
    offset: number,
    black: Uint8Array | undefined,
  ): void;
  /** The same as so many rows of `noInk`. */
  skip(rows: number): void;
}
