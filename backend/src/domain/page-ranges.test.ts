import { describe, expect, it } from "vitest";
import { selectPages } from "./page-ranges.ts";

describe("selectPages", () => {
  const range = (firstPage: number, lastPage: number) => ({ firstPage, lastPage });

  it("takes all pages without ranges, and those of the ranges otherwise", () => {
    expect(selectPages(3, [])).toEqual([1, 2, 3]);
    expect(selectPages(9, [range(2, 3), range(7, 7)])).toEqual([2, 3, 7]);
  });

  it("leaves out pages beyond the end", () => {
    expect(selectPages(3, [range(2, 4_294_967_295)])).toEqual([2, 3]);
  });

  it("refuses ranges that select nothing", () => {
    expect(() => selectPages(3, [range(4, 5), range(8, 9)])).toThrow(
      expect.objectContaining({
        code: "ticket-invalid",
        message: "page-ranges 4-5,8-9 selects nothing: the document has 3 pages",
      }),
    );
  });
});
