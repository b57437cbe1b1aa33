/** What a halftoning algorithm is to the kernel around it. */
import type { CoverageRows } from "./coverage.ts";

/** Inks of a page: black alone, or cyan, magenta, yellow and black. */
export type Inks = "k" | "cmyk";

/**
 * An algorithm at work on one page: coverage in, dots out, row by row from the top. `planes` and `coverage` are in the order
 * black, cyan, magenta, yellow; a row of black alone has no colour in any pixel, a blank row no ink at all.
 */
export interface Screen {
  /** Sets bits of the row that begins at `offset` in each plane; the bytes there are 0 before. */
  row(coverage: CoverageRows, planes: readonly Uint8Array[], offset: number): void;
  /** The same as `row` with `noInk` in all pixels of cyan, magenta and yellow. */
  blackRow(black: Int16Array, plane: Uint8Array, offset: number): void;
  /** The same as so many rows of `noInk`. */
  blankRows(rows: number): void;
}
