/** S1408, S1409: from decoded bands to strips of dots, as they go to the engine. */
import type { DotMaker, DotPage, Dots } from "../ports/dot-maker.ts";
import type { PlanarBand } from "../ports/engine-driver.ts";
import { giveBack } from "./give-back.ts";
import type { PageMark } from "./impressions.ts";
import type { PixelItem } from "./pixel-bands.ts";

export type Step =
  | PageMark
  /** `dots` are the strip's memory, to be disposed of when the engine has it. */
  | { readonly kind: "strip"; readonly strip: PlanarBand; readonly dots: Dots };

/** A blank strip has no planes, but a sink that writes blank rows has to have memory for them. */
const blankRowsMax = 1024;

/** The strips of the pages of `items`. Memory is bounded by a strip: a band may be higher. */
export async function* strips(
  items: AsyncIterable<PixelItem>,
  dotMaker: DotMaker,
  look: Omit<DotPage, "widthPx">,
  signal: AbortSignal,
): AsyncGenerator<Step> {
  let widthPx = 0;
  for await (const item of items) {
    if (item.kind !== "band") {
      if (item.kind === "page") {
        widthPx = item.start.widthPx;
        await dotMaker.startPage({ ...look, widthPx });
      }
      yield item;
      continue;
    }
    const { content, pixels, rowsPx: bandRowsPx } = item;
    const rowBytes = pixels.length / bandRowsPx;
    const most = content === "blank" ? blankRowsMax : dotMaker.rowsMax;
    for (let y = 0; y < bandRowsPx; y += most) {
      const rowsPx = Math.min(most, bandRowsPx - y);
      const rows = pixels.subarray(y * rowBytes, (y + rowsPx) * rowBytes);
      const dots = await dotMaker.rows(content, rows, rowsPx, signal);
      const strideBytes = Math.ceil(widthPx / 8);
      yield {
        kind: "strip",
        strip: { yPx: item.yPx + y, rowsPx, strideBytes, planes: dots.planes },
        dots,
      };
    }
    if (content !== "blank") giveBack(pixels);
  }
}
