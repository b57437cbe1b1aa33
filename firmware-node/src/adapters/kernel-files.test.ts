import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { InkTables } from "../color/ink-choice.ts";
import { parsePrinterConfig } from "../config.ts";
import { full, idealInks, type InkTable } from "../pixels/ink-table.ts";
import { startPrinter } from "../start.ts";
import { localKernel } from "../testing/local-kernel.ts";
import { matrixProfile } from "../testing/profiles.ts";
import { bakeInkTable } from "./bake-table.ts";
import { loadInkTables } from "./kernel-files.ts";

const profile = fileURLToPath(new URL("../../profiles/FOGRA39L.icc", import.meta.url));
const plain = { renderingIntent: "perceptual", blackPercent: 0 } as const;
const [a4, a5] = ["iso_a4_210x297mm", "iso_a5_148x210mm"] as const;
const tables = async (settings: object) => {
  const config = parsePrinterConfig({ printerId: "one", backend: "127.0.0.1:1", ...settings });
  return loadInkTables(config);
};

test("without files the inks are ideal", async () => {
  const made = await loadInkTables(plain);
  expect(await made.tableFor({ media: a4, neutrals: "black" })).toEqual(idealInks());
});

test("with a profile a deep blue is laid in the profile's inks, within the limit", async () => {
  const made = await tables({ profile, inkLimitPercent: 150 });
  const kernel = localKernel(await made.tableFor({ media: a4, neutrals: "black" }));
  const side = 64;
  const pixels = Uint8Array.from({ length: side * side * 3 }, (_, i) => [10, 20, 120][i % 3]!);
  let dots = 0;
  for (const { bits } of kernel.halftoner("shiau-fan", side, "cmyk").band("color", pixels, side)) {
    for (const byte of bits) for (let bit = 0; bit < 8; bit++) dots += (byte >> bit) & 1;
  }
  expect(dots / side / side).toBeGreaterThan(1.3);
  expect(dots / side / side).toBeLessThan(1.51);
});

test("each medium has the profile and the limit that are its own", async () => {
  const most = (table: InkTable): number => {
    const sums = Array.from({ length: table.cube.length / 4 }, (_, i) =>
      table.cube.subarray(i * 4, i * 4 + 4).reduce((sum, ink) => sum + ink),
    );
    return Math.max(...sums) / full;
  };
  for (const settings of [
    { profile: `${a5}=${profile}`, inkLimitPercent: `300,${a5}=180` },
    { profile: { [a5]: profile }, inkLimitPercent: { default: 300, [a5]: 180 } },
  ]) {
    const made = await tables(settings);
    const [plainPaper, photoPaper] = [
      await made.tableFor({ media: a4, neutrals: "cube" }),
      await made.tableFor({ media: a5, neutrals: "cube" }),
    ];
    expect(plainPaper).toEqual({ ...idealInks(), neutrals: "cube" });
    expect(most(photoPaper)).toBeCloseTo(1.8, 2);
    expect(await made.tableFor({ media: a5, neutrals: "cube" })).toBe(photoPaper);
  }
});

test("tables of a few kinds of jobs are kept, not one for every job there ever was", async () => {
  const made = new InkTables(() => plain, bakeInkTable);
  const first = await made.tableFor({ media: a4, neutrals: "black" });
  for (const gamma of [1, 1.8, 2, 2.2]) {
    await made.tableFor({ media: a4, neutrals: "black", source: matrixProfile({ gamma }) });
  }
  expect(await made.tableFor({ media: a4, neutrals: "black" })).not.toBe(first);
});

test.each([
  ["a profile that is not there", { profile: "/nowhere.icc" }, "cannot read /nowhere.icc"],
  ["a file that is no profile", { profile: fileURLToPath(import.meta.url) }, "no ICC profile"],
  ["a calibration that is none", { calibration: fileURLToPath(import.meta.url) }, "not JSON"],
  ["an ink limit below one ink", { inkLimitPercent: 50 }, "inkLimitPercent"],
  ["a bad profile for one medium", { profile: `${a4}=${fileURLToPath(import.meta.url)}` }, "no ICC profile"],
  [
    "a profile for media that it does not take",
    { profile: `iso_2a0_1189x1682mm=${profile}` },
    "none of the media",
  ],
])("a printer with %s does not start", async (_, settings, words) => {
  const printer = startPrinter({ printerId: "one", backend: "127.0.0.1:1", ...settings });
  await expect(printer).rejects.toMatchObject({
    code: "configuration",
    message: expect.stringContaining(words),
  });
});
