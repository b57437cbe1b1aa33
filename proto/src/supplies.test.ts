import { expect, test } from "vitest";
import { PrinterStateReason } from "./gen/platen/v1/printer_pb.ts";
import { supplyReasons } from "./supplies.ts";

const { MARKER_SUPPLY_EMPTY: empty, MARKER_SUPPLY_LOW: low } = PrinterStateReason;

test.each<[readonly (number | undefined)[], PrinterStateReason[]]>([
  [[], []],
  [[100, 10, undefined], []],
  [[9, 1, 100], [low]],
  [[0, 0, 100], [empty]],
  [
    [5, 0, undefined],
    [empty, low],
  ],
])("levels %j", (levels, reasons) => {
  expect(supplyReasons(levels.map((levelPercent) => ({ levelPercent })))).toEqual(reasons);
});
