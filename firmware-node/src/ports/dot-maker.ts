/** S1408, S1409: pixels to dots, beside whatever else the controller does. */
import type { BandKind } from "../pixels/halftoner.ts";
import type { InkTable } from "../pixels/ink-table.ts";
import type { HalftoneName, Inks } from "../pixels/screen.ts";
import type { Plane } from "./engine-driver.ts";

export interface DotPage {
  readonly widthPx: number;
  readonly halftone: HalftoneName;
  readonly inks: Inks;
  /** The same object for pages with the same inks. */
  readonly table: InkTable;
}

/** Dots of some rows. Disposing gives their memory back for the next rows: the planes must not be read after that. */
export interface Dots extends Disposable {
  /** One bit a pixel, rows of ceil(widthPx / 8) bytes; a plane without a dot is left out. */
  readonly planes: readonly Plane[];
}

/** One page at a time. */
export interface DotMaker extends AsyncDisposable {
  /** Begins a page: rows follow from its top. What is left of the page before is given up. Throws `internal`. */
  startPage(page: DotPage): Promise<void>;
  /** The most rows that `rows` takes at once on this page, blank ones excepted. */
  readonly rowsMax: number;
  /**
   * The next `rowsPx` rows of the page, at most `rowsMax` unless they are blank; `pixels` are the caller's again when this settles. A few Dots may be
   * held at a time: this waits until one of them is disposed of, or until `signal` aborts. Throws `internal` when the maker has
   * crashed; it works again from the next `startPage` on.
   */
  rows(kind: BandKind, pixels: Uint8Array, rowsPx: number, signal: AbortSignal): Promise<Dots>;
}
