import { expect, test } from "vitest";
import { table } from "./table.ts";

test("columns are as wide as their widest cell", () => {
  expect(table(["A", "BB"], [["ccc", "d"]])).toBe("A    BB\nccc  d\n");
});

test("what somebody calls his printer can do nothing to a terminal, nor make a row of its own", () => {
  const out = table(["ID", "MODEL"], [["one", "\u001B[2J\u001B]0;x\u0007<b>\u202Eevil\r\nfake\u2028  idle"]]);
  expect(out.split("\n")).toHaveLength(3);
  expect(out.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}]/u);
  expect(out).toContain("<b>");
});
