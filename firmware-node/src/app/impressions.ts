/** S1406: what goes to the engine, in order: pages and their bands, for every copy of every sheet. */
import type { Band, MetafilePage } from "@platen/proto";
import type { Colorant, PageStart } from "../ports/engine-driver.ts";
import type { PrintPlan } from "./metafile.ts";
import { fetchBands, type Source } from "./page-source.ts";
import type { Sheet } from "./sheets.ts";

/** Where a page begins and ends among its bands. */
export type PageMark = { readonly kind: "page"; readonly start: PageStart } | { readonly kind: "page-end" };

/** Marks take no memory. */
export const isMark = ({ kind }: { readonly kind: string }): boolean =>
  kind === "page" || kind === "page-end";

export type FetchedItem =
  | PageMark
  | { readonly kind: "band"; readonly band: Band; readonly pageWidthPx: number };

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
): AsyncGenerator<FetchedItem> {
  let begun = false;
  for await (const band of fetchBands(source, page)) {
    if (!begun) yield { kind: "page", start };
    begun = true;
    yield { kind: "band", band, pageWidthPx: page.widthPx };
  }
  yield { kind: "page-end" };
}

/** The sheets from `firstSheet` on. A copy's pages are fetched again: the controller keeps a band, not a document. */
export async function* impressions(
  plan: PrintPlan,
  firstSheet: number,
  colorants: readonly Colorant[],
  source: Source,
): AsyncGenerator<FetchedItem> {
  for (let number = firstSheet; number <= plan.plan.sheets; number++) {
    const sheet = plan.plan.sheet(number);
    for (const [index, page] of sheet.pages.entries()) {
      yield* impression(pageStart(plan, sheet, index, colorants), page, source);
    }
  }
}
