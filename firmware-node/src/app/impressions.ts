/** S1406, S1407: what goes to the engine, in order: pages and their decoded bands, for every copy of every sheet. */
import { type Band, BandContent, type MetafilePage } from "@platen/proto";
import type { BandKind } from "../pixels/halftoner.ts";
import type { BandDecoder } from "../ports/band-decoder.ts";
import type { Colorant, PageStart } from "../ports/engine-driver.ts";
import type { PrintPlan } from "./metafile.ts";
import { giveBack } from "./give-back.ts";
import { fetchBands, type Source } from "./page-source.ts";
import type { Sheet } from "./sheets.ts";

export type Item =
  | { readonly kind: "page"; readonly start: PageStart }
  | {
      readonly kind: "band";
      readonly yPx: number;
      readonly rowsPx: number;
      readonly content: BandKind;
      /** As the decoder gives them; empty for a blank band. */
      readonly pixels: Uint8Array;
    }
  | { readonly kind: "page-end" };

const noPixels = new Uint8Array(0);

/** The content is one of the three: page-source.ts has checked it. */
const kindOf = ({ content }: Band): BandKind =>
  content === BandContent.BLANK ? "blank" : content === BandContent.GREY ? "grey" : "color";

function pageStart(
  { metafile, media }: PrintPlan,
  sheet: Sheet,
  index: number,
  colorants: readonly Colorant[],
): PageStart {
  const { widthPx, heightPx } = sheet.pages[index]!;
  const { resolutionDpi, mediaWidthUm, mediaHeightUm } = metafile;
  return {
    impressionNumber: sheet.impressionsBefore + index + 1,
    sheetNumber: sheet.sheetNumber,
    side: index === 0 ? "front" : "back",
    lastOfSheet: index === sheet.pages.length - 1,
    widthPx,
    heightPx,
    resolutionDpi,
    colorants,
    media,
    mediaWidthUm,
    mediaHeightUm,
  };
}

async function* impression(
  start: PageStart,
  page: MetafilePage,
  source: Source,
  decoder: BandDecoder,
): AsyncGenerator<Item> {
  let begun = false;
  for await (const band of fetchBands(source, page)) {
    const { yPx, rowsPx } = band;
    const content = kindOf(band);
    const pixels = content === "blank" ? noPixels : await decoder.decode(band, page.widthPx);
    // All of the message, which is the data but for a few bytes.
    if (content !== "blank") giveBack(new Uint8Array(band.data.buffer));
    // The engine takes no sheet before there is something to lay on it: a page may be held until it is converted.
    if (!begun) yield { kind: "page", start };
    begun = true;
    yield { kind: "band", yPx, rowsPx, content, pixels };
  }
  yield { kind: "page-end" };
}

/** The sheets from `firstSheet` on. A copy's pages are fetched again: the controller keeps a band, not a document. */
export async function* impressions(
  plan: PrintPlan,
  firstSheet: number,
  colorants: readonly Colorant[],
  source: Source,
  decoder: BandDecoder,
): AsyncGenerator<Item> {
  for (let number = firstSheet; number <= plan.plan.sheets; number++) {
    const sheet = plan.plan.sheet(number);
    for (const [index, page] of sheet.pages.entries()) {
      yield* impression(pageStart(plan, sheet, index, colorants), page, source, decoder);
    }
  }
}
