/** The order in which sheets come out: copies, collation and sides. Pure. */
import type { MetafilePage } from "@platen/proto";

/** What to lay on one sheet. */
export interface Sheet {
  /** Sheets of the job, all copies, counted from 1. */
  readonly sheetNumber: number;
  /** Impressions of the job, all copies, on the sheets before it. */
  readonly impressionsBefore: number;
  /** The front, and the back if it has one. */
  readonly pages: readonly MetafilePage[];
}

export interface SheetPlan {
  /** Sheets of the job, all copies. */
  readonly sheets: number;
  /** `sheetNumber` from 1 to `sheets`. */
  sheet(sheetNumber: number): Sheet;
  /** Impressions on the first so many sheets. */
  impressions(sheets: number): number;
}

/**
 * Collated copies come as whole sets, 1 2 3, 1 2 3; uncollated ones sheet by sheet, 1 1, 2 2, 3 3 (PWG 5100.1, sheet-collate).
 * With two sides, pages are front, back, front, back; an odd last one has no back. A copy always begins on a new sheet.
 */
export function planSheets(
  pages: readonly MetafilePage[],
  { copies, collated, twoSided }: { copies: number; collated: boolean; twoSided: boolean },
): SheetPlan {
  const sides = twoSided ? 2 : 1;
  const sheetsOfCopy = Math.ceil(pages.length / sides);
  const sheet = (sheetNumber: number): Sheet => {
    const index = sheetNumber - 1;
    const inCopy = collated ? index % sheetsOfCopy : Math.floor(index / copies);
    const copy = collated ? Math.floor(index / sheetsOfCopy) : index % copies;
    const sheetPages = pages.slice(inCopy * sides, inCopy * sides + sides);
    const impressionsBefore = collated
      ? copy * pages.length + inCopy * sides
      : inCopy * sides * copies + copy * sheetPages.length;
    return { sheetNumber, impressionsBefore, pages: sheetPages };
  };
  return {
    sheets: sheetsOfCopy * copies,
    sheet,
    impressions: (sheets) => {
      if (sheets === 0) return 0;
      const last = sheet(sheets);
      return last.impressionsBefore + last.pages.length;
    },
  };
}
