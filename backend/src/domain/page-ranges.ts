/** page-ranges of a ticket. Render workers load this: it imports nothing of gRPC's. */
import { PlatenError } from "@platen/proto/metafile";

/** Inclusive, counted from 1. */
export interface Range {
  readonly firstPage: number;
  readonly lastPage: number;
}

/** The pages of the document that page-ranges selects, in order. Throws `ticket-invalid` when it selects none. */
export function selectPages(pageCount: number, ranges: readonly Range[]): number[] {
  const pages: number[] = [];
  for (const { firstPage, lastPage } of ranges.length ? ranges : [{ firstPage: 1, lastPage: pageCount }]) {
    for (let page = firstPage; page <= Math.min(lastPage, pageCount); page++) pages.push(page);
  }
  if (pages.length === 0) {
    const asked = ranges.map(({ firstPage, lastPage }) => `${firstPage}-${lastPage}`).join(",");
    throw new PlatenError(
      "ticket-invalid",
      `page-ranges ${asked} selects nothing: the document has ${pageCount} pages`,
    );
  }
  return pages;
}
