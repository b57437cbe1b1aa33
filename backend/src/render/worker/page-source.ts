/** What a side is drawn from: a PDF or an image. */
import type { SKRSContext2D } from "@napi-rs/canvas";
import type { Matrix } from "../../domain/geometry.ts";

export interface PageSource extends AsyncDisposable {
  readonly pageCount: number;
  /** The ICC profile of what is drawn; sRGB without one. */
  readonly sourceProfile?: Uint8Array | undefined;
  /** The page as it is shown, points. Throws `document-damaged`. */
  size(pageNumber: number): Promise<{ readonly widthPt: number; readonly heightPt: number }>;
  /**
   * Draws the page over what the canvas holds, within its clip. `matrix` maps points of the page as shown, origin top left,
   * to pixels of the canvas. Leaves the context as it was. Throws `document-damaged`.
   */
  draw(pageNumber: number, context: SKRSContext2D, matrix: Matrix): Promise<void>;
}
