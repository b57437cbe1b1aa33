import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { idealInks } from "../pixels/ink-table.ts";
import { startPrinter } from "../start.ts";
import { loadInkTable, loadKernel } from "./kernel-files.ts";

const profile = fileURLToPath(new URL("../../profiles/FOGRA39L.icc", import.meta.url));
const plain = { renderingIntent: "perceptual", inkLimitPercent: 400 } as const;

test("without files the inks are ideal", async () => {
  expect(await loadInkTable(plain)).toEqual(idealInks());
});

test("with a profile a deep blue is laid in the profile's inks, within the limit", async () => {
  const kernel = await loadKernel(await loadInkTable({ ...plain, profile, inkLimitPercent: 150 }));
  const side = 64;
  const pixels = Uint8Array.from({ length: side * side * 3 }, (_, i) => [10, 20, 120][i % 3]!);
  let dots = 0;
  for (const { bits } of kernel.halftoner(side, "cmyk").band("color", pixels, side)) {
    for (const byte of bits) for (let bit = 0; bit < 8; bit++) dots += (byte >> bit) & 1;
  }
  expect(dots / side / side).toBeGreaterThan(1.3);
  expect(dots / side / side).toBeLessThan(1.51);
});

test.each([
  ["a profile that is not there", { profile: "/nowhere.icc" }, "cannot read /nowhere.icc"],
  ["a file that is no profile", { profile: fileURLToPath(import.meta.url) }, "no ICC profile"],
  ["a calibration that is none", { calibration: fileURLToPath(import.meta.url) }, "not JSON"],
  ["an ink limit below one ink", { inkLimitPercent: 50 }, "inkLimitPercent"],
])("a printer with %s does not start", async (_, settings, words) => {
  const printer = startPrinter({ printerId: "one", backend: "127.0.0.1:1", ...settings });
  await expect(printer).rejects.toMatchObject({
    code: "configuration",
    message: expect.stringContaining(words),
  });
});
