import * as fc from "fast-check";
import { create } from "@bufbuild/protobuf";
import { MetafilePageSchema } from "@platen/proto";
import { describe, expect, test } from "vitest";
import { planSheets } from "./sheets.ts";

const pagesOf = (count: number) =>
  Array.from({ length: count }, (_, i) => create(MetafilePageSchema, { pageNumber: i + 1 }));

/** All sheets as lists of page numbers. */
function sheetsOf(
  count: number,
  options: { copies: number; collated: boolean; twoSided: boolean },
): number[][] {
  const plan = planSheets(pagesOf(count), options);
  return Array.from({ length: plan.sheets }, (_, i) =>
    plan.sheet(i + 1).pages.map(({ pageNumber }) => pageNumber),
  );
}

describe("the order of sheets", () => {
  test("one-sided, collated and not", () => {
    expect(sheetsOf(3, { copies: 2, collated: true, twoSided: false })).toEqual([
      [1],
      [2],
      [3],
      [1],
      [2],
      [3],
    ]);
    expect(sheetsOf(3, { copies: 2, collated: false, twoSided: false })).toEqual([
      [1],
      [1],
      [2],
      [2],
      [3],
      [3],
    ]);
  });

  test("two-sided, collated and not, with an odd number of pages", () => {
    expect(sheetsOf(3, { copies: 2, collated: true, twoSided: true })).toEqual([[1, 2], [3], [1, 2], [3]]);
    expect(sheetsOf(3, { copies: 2, collated: false, twoSided: true })).toEqual([[1, 2], [1, 2], [3], [3]]);
  });

  test("sheets and impressions are numbered over all copies", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.record({ copies: fc.integer({ min: 1, max: 5 }), collated: fc.boolean(), twoSided: fc.boolean() }),
        (count, options) => {
          const plan = planSheets(pagesOf(count), options);
          let impressions = 0;
          for (let number = 1; number <= plan.sheets; number++) {
            const sheet = plan.sheet(number);
            expect(sheet).toMatchObject({ sheetNumber: number, impressionsBefore: impressions });
            impressions += sheet.pages.length;
            expect(plan.impressions(number)).toBe(impressions);
          }
          expect(impressions).toBe(count * options.copies);
          expect(plan.impressions(0)).toBe(0);
        },
      ),
    );
  });
});
