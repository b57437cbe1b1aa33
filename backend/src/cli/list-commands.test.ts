import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { PrinterState, PrinterStateReason, RegisteredPrinterSchema, UpdatePhase } from "@platen/proto";
import { expect, test } from "vitest";
import { presence, softwareText } from "./list-commands.ts";

test.each([
  [{ phase: UpdatePhase.UP_TO_DATE }, "1.0.0"],
  [{ phase: UpdatePhase.UP_TO_DATE, message: "key set not taken: …" }, "1.0.0 (key set not taken: …)"],
  [{ phase: UpdatePhase.DOWNLOADING, targetVersion: "1.1.0", percent: 40 }, "1.0.0 (1.1.0 downloading 40 %)"],
  [
    { phase: UpdatePhase.ROLLED_BACK, targetVersion: "1.1.0", message: "it hung" },
    "1.0.0 (1.1.0 rolled back: it hung)",
  ],
])("a printer's software is told as it is: %j", (update, text) => {
  const printer = create(RegisteredPrinterSchema, { update: { version: "1.0.0", ...update } });
  expect(softwareText(printer)).toBe(text);
});

test("the system of a printer that keeps it current is told after its software", () => {
  const app = { version: "1.0.0", phase: UpdatePhase.UP_TO_DATE };
  const below = { version: "0.1.0", phase: UpdatePhase.TRYING, targetVersion: "0.2.0" };
  const printer = create(RegisteredPrinterSchema, { update: app, system: below });
  expect(softwareText(printer)).toBe("1.0.0, system 0.1.0 (0.2.0 trying)");
});

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

test.each([
  [0, ["idle (media-empty)", "0 s ago"]],
  [-5 * second, ["idle (media-empty)", "0 s ago"]],
  [119 * second, ["idle (media-empty)", "119 s ago"]],
  [2.5 * minute, ["idle (media-empty)", "2 min ago"]],
  [7 * minute, ["offline", "not for 7 min"]],
  [119 * minute, ["offline", "not for 119 min"]],
  [47 * hour, ["offline", "not for 47 h"]],
  [49 * hour, ["offline", "not for 2 d"]],
])("a printer that was heard of %d ms ago is told as %j", (ageMs, told) => {
  const nowMs = Date.parse("2026-11-23T01:00:00Z");
  const printer = create(RegisteredPrinterSchema, {
    status: { state: PrinterState.IDLE, stateReasons: [PrinterStateReason.MEDIA_EMPTY] },
    seenTime: timestampFromMs(nowMs - ageMs),
  });
  expect(presence(printer, nowMs)).toEqual(told);
});
