import { create } from "@bufbuild/protobuf";
import { RegisteredPrinterSchema, UpdatePhase } from "@platen/proto";
import { expect, test } from "vitest";
import { softwareText } from "./list-commands.ts";

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
