import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  blackOfGrey,
  full,
  gridSide,
  idealInks,
  type InkTable,
  interpolate,
  lightOf,
  linearOfSrgb,
  noInk,
  solid,
} from "../pixels/ink-table.ts";
import { referenceHalftoner } from "../pixels/reference.ts";
import type { HalftoneName } from "../pixels/screen.ts";
import { deltaE2000, type Lab } from "../testing/delta-e.ts";
import { flatBand } from "../testing/dot-pages.ts";
import { damaged, matrixProfile, renamed } from "../testing/profiles.ts";
import { linearisation } from "./calibration.ts";
import { parseCalibration } from "./calibration-file.ts";
import { makeInkTable } from "./ink-tables.ts";
import { type Intent, openOutput } from "./profile.ts";

const profile = new Uint8Array(readFileSync(new URL("../../profiles/FOGRA39L.icc", import.meta.url)));
const labAt = (lab: Float32Array, i: number): Lab => [lab[i * 3]!, lab[i * 3 + 1]!, lab[i * 3 + 2]!];

test.each([
  [[50, 2.6772, -79.7751], [50, 0, -82.7485], 2.0425],
  [[50, 2.5, 0], [73, 25, -18], 27.1492],
  [[50, 2.5, 0], [50, 3.2592, 0.335], 1],
  [[60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644],
  [[2.0776, 0.0795, -1.135], [0.9033, -0.0636, -0.5514], 0.9082],
] as [Lab, Lab, number][])("CIEDE2000 of %o and %o is %f, as Sharma et al. have it", (a, b, expected) => {
  expect(deltaE2000(a, b)).toBeCloseTo(expected, 4);
});

const bitsOf = (byte: number): number => byte.toString(2).replaceAll("0", "").length;

/** Colours on a grid that shares no point with the table's but its corners. */
function denseGrid(side: number): number[][] {
  const value = (i: number): number => Math.round((i * 255) / (side - 1));
  return Array.from({ length: side ** 3 }, (_, i) =>
    [Math.floor(i / side / side), Math.floor(i / side) % side, i % side].map(value),
  );
}

const words = (values: Iterable<number>, scale: number): Uint16Array =>
  Uint16Array.from(values, (value) => Math.round((value * 65535) / scale));

/** ΔE2000 between the table's interpolation and LittleCMS itself, ascending, both seen through the profile. */
async function errorsOf(table: InkTable, intent: Intent, colors: number[][]): Promise<number[]> {
  using link = await openOutput(profile);
  const own = new Int16Array(colors.length * 4);
  for (const [i, [r, g, b]] of colors.entries()) interpolate(table.cube, r!, g!, b!, own, i * 4);
  const seen = link.labOf(words(own, full));
  const exact = link.labOf(link.inksOf(words(colors.flat(), 255), intent));
  return colors.map((_, i) => deltaE2000(labAt(seen, i), labAt(exact, i))).sort((a, b) => a - b);
}

describe("a table of an ICC profile", () => {
  test.each<Intent>(["perceptual", "relative"])("prints the colours of LittleCMS (%s)", async (intent) => {
    const table = await makeInkTable({ profile, intent });
    // The cell at black leads to black ink alone, which the profile would not choose.
    const colors = denseGrid(28).filter((color) => Math.max(...color) > 8);
    const errors = await errorsOf(table, intent, colors);
    const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
    expect(mean).toBeLessThan(0.3);
    expect(errors[Math.floor(errors.length * 0.99)]).toBeLessThan(1);
  });

  test("keeps black pure and white empty", async () => {
    const { cube, black } = await makeInkTable({ profile });
    expect([...cube.subarray(0, 4)]).toEqual([0, 0, 0, full]);
    expect([...cube.subarray(-4)]).toEqual([0, 0, 0, 0]);
    expect([black[0], black.at(-1)]).toEqual([full, 0]);
  });

  test("greys of black alone are as light as they should be between solid black and paper", async () => {
    const table = await makeInkTable({ profile });
    const { black } = table;
    using link = await openOutput(profile);
    const luminance = (l: number): number => (l > 8 ? ((l + 16) / 116) ** 3 : (l * 27) / 24389);
    const seenOf = (k: number): number => luminance(link.labOf(words([0, 0, 0, k], full))[0]!);
    const solid = seenOf(full);
    for (let v = 5; v < 255; v += 10) {
      const light = lightOf(table, v, v, v);
      expect(seenOf(black[light]!)).toBeCloseTo(solid + (light / 8192) * (1 - solid), 2.5);
      expect(black[light]).toBeGreaterThanOrEqual(black[light + 1]!);
    }
  });

  test("lays no more ink than the limit, at no colour, whatever the curves of a calibration add", async () => {
    // Inks that look like less than they are, so that more of them is laid.
    const steps = Array.from({ length: 11 }, (_, i) => ({ asked: i / 10, measured: (i / 10) ** 2 }));
    const wedges = { cyan: steps, yellow: steps };
    for (const inkLimitPercent of [100, 180, 240]) {
      const { cube } = await makeInkTable({ profile, inkLimitPercent, wedges, neutrals: "cube" });
      const inks = new Int16Array(4);
      let most = 0;
      for (const [r, g, b] of denseGrid(20)) {
        interpolate(cube, r!, g!, b!, inks, 0);
        most = Math.max(most, inks[0]! + inks[1]! + inks[2]! + inks[3]!);
      }
      expect(most).toBeLessThanOrEqual((inkLimitPercent * full) / 100 + 2);
      expect(most).toBeGreaterThan((inkLimitPercent * full) / 100 - 200);
    }
  });

  test.each<HalftoneName>(["shiau-fan", "ordered"])("the dots of %s keep the limit", async (halftone) => {
    const table = await makeInkTable({ profile, inkLimitPercent: 180, neutrals: "cube" });
    const side = 128;
    for (const color of [
      [0, 0, 0],
      [40, 0, 10],
      [0, 30, 0],
    ]) {
      const planes = referenceHalftoner(halftone, table, side, "cmyk").band(
        "color",
        flatBand(side, side, color).pixels,
        side,
      );
      const dots = planes.flatMap(({ bits }) => [...bits]).reduce((sum, byte) => sum + bitsOf(byte), 0);
      expect(dots / side ** 2).toBeGreaterThan(1.7);
      expect(dots / side ** 2).toBeLessThan(1.805);
    }
  });
});

describe("black generation", () => {
  test("more black takes the place of colours and leaves the colour as it is", async () => {
    const [own, more] = [
      await makeInkTable({ profile, neutrals: "cube" }),
      await makeInkTable({ profile, neutrals: "cube", blackPercent: 100 }),
    ];
    using link = await openOutput(profile);
    const [before, after] = [link.labOf(words(own.cube, full)), link.labOf(words(more.cube, full))];
    const errors = Array.from(before.subarray(0, before.length / 3), (_, i) =>
      deltaE2000(labAt(before, i), labAt(after, i)),
    ).toSorted((a, b) => a - b);
    expect(errors.at(-1)).toBeLessThan(1);
    expect(errors[Math.floor(errors.length * 0.99)]).toBeLessThan(0.1);
    // A middle grey of three colours and little black becomes nearly black alone.
    const grey = 16 * (gridSide * gridSide + gridSide + 1) * 4;
    const colors = ({ cube }: InkTable) => cube[grey]! + cube[grey + 1]! + cube[grey + 2]!;
    expect(colors(more)).toBeLessThan(0.25 * colors(own));
    expect(more.cube[grey + 3]).toBeGreaterThan(own.cube[grey + 3]! + 0.1 * full);
  });
});

describe("pages in a colour space of their own", () => {
  test("print the same colour with other numbers", async () => {
    // Linear light is bright where sRGB's numbers are dark.
    const source = matrixProfile({ gamma: 1 });
    for (const inks of [{}, { profile }]) {
      const [linear, srgb] = [await makeInkTable({ ...inks, source }), await makeInkTable(inks)];
      const [a, b] = [new Int16Array(4), new Int16Array(4)];
      for (const color of [
        [255, 0, 0],
        [60, 128, 200],
        [200, 199, 90],
      ]) {
        const [r, g, b2] = color.map((v) => Math.round(255 * linearOfSrgb(v / 255))) as [
          number,
          number,
          number,
        ];
        interpolate(linear.cube, r, g, b2, a, 0);
        interpolate(srgb.cube, color[0]!, color[1]!, color[2]!, b, 0);
        for (let ink = 0; ink < 4; ink++) expect(Math.abs(a[ink]! - b[ink]!)).toBeLessThan(0.02 * full);
      }
      // And greys of black alone: light 1/2 is value 128 there, and 188 in sRGB.
      expect(Math.abs(blackOfGrey(linear)[128]! - blackOfGrey(srgb)[188]!)).toBeLessThan(0.01 * full);
      expect([blackOfGrey(linear)[0], blackOfGrey(linear)[255]]).toEqual([solid, noInk]);
    }
  });

  test("reach beyond sRGB: a green of Adobe RGB is more cyan and yellow than sRGB's", async () => {
    const wide = await makeInkTable({
      profile,
      intent: "relative",
      source: matrixProfile({ gamma: 2.2, wide: true }),
    });
    const srgb = await makeInkTable({ profile, intent: "relative" });
    const green = (gridSide - 1) * gridSide * 4;
    expect(wide.cube[green]).toBeGreaterThan(srgb.cube[green]! + 0.03 * full);
  });

  test.each([
    ["an output profile", profile, 'class "prtr"'],
    ["no profile", new Uint8Array(200), "no ICC profile"],
    ["one for CMYK", renamed(profile, 12, "scnr"), 'for "CMYK"'],
    ["one for grey", renamed(matrixProfile({ gamma: 1 }), 16, "GRAY"), 'for "GRAY"'],
    ["one without its tables", matrixProfile({ gamma: 1 }).fill(0, 128, 200), "damaged"],
  ])("are refused with %s", async (_, source, words) => {
    for (const inks of [{}, { profile }]) {
      await expect(makeInkTable({ ...inks, source })).rejects.toMatchObject({
        code: "metafile-invalid",
        message: expect.stringContaining(words),
      });
    }
  });
});

describe("bad profiles are refused:", () => {
  const changed = (change: (bytes: Uint8Array) => void): Uint8Array => {
    const bytes = profile.slice();
    change(bytes);
    return bytes;
  };
  const write = (at: number, text: string) => (bytes: Uint8Array) => bytes.set(renamed(bytes, at, text));
  /** Every table of colours by inks turned into the negative of what it was. */
  const swapped = (bytes: Uint8Array): void => {
    const view = new DataView(bytes.buffer);
    for (let i = 0, at = 132; i < view.getUint32(128); i++, at += 12) {
      if (view.getUint32(at) >>> 8 !== 0x413242) continue; // "A2B"
      const [offset, size] = [view.getUint32(at + 4), view.getUint32(at + 8)];
      for (let byte = offset + 2000; byte < offset + size; byte++) bytes[byte] = 255 - profile[byte]!;
    }
  };
  test.each([
    ["nothing", new Uint8Array(0), "no ICC profile"],
    ["a text", new Uint8Array(4096).fill(65), "no ICC profile"],
    ["a display's", changed(write(12, "mntr")), 'class "mntr"'],
    ["a device link", changed(write(12, "link")), 'class "link"'],
    ["one for RGB", changed(write(16, "RGB ")), 'for "RGB"'],
    ["one for grey", changed(write(16, "GRAY")), 'for "GRAY"'],
    ["an abstract one", changed(write(12, "abst")), 'class "abst"'],
    ["a camera's", changed(write(12, "scnr")), 'class "scnr"'],
    ["one of version 5", changed((bytes) => bytes.fill(5, 8, 9)), "version 5"],
    ["a huge one", new Uint8Array(9 * 1024 * 1024).fill(0).map((_, i) => profile[i] ?? 0), "more than"],
    ["one that ends in its header", profile.slice(0, 100), "no ICC profile"],
    ["one with a checksum that is not its own", changed((bytes) => bytes.fill(1, 84, 100)), "checksum"],
    ["one whose white is black", changed(swapped), "white to black"],
    ["one cut off", profile.slice(0, 50_000), "damaged"],
    ["one with tags lost", changed((bytes) => bytes.fill(0, 128, 400)), "damaged"],
    ["one with tables of noise", changed((bytes) => bytes.fill(255, 400, 2000)), "damaged"],
  ])("%s", async (_, bytes, words) => {
    await expect(makeInkTable({ profile: bytes })).rejects.toMatchObject({
      code: "configuration",
      message: expect.stringContaining(words),
    });
  });

  test("whatever is damaged in one, it makes a whole table or is refused with the reason", {
    timeout: 60_000,
  }, async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const bytes = damaged(profile, seed);
      const table = await makeInkTable({ profile: bytes }).catch((error: unknown) => error);
      if (table instanceof Error) expect([seed, table]).toMatchObject([seed, { code: "configuration" }]);
      else
        expect(
          [...(table as InkTable).cube].every((ink) => ink >= 0 && ink <= full),
          `seed ${seed}`,
        ).toBe(true);
    }
  });

  test("one that is refused leaves the next alone", async () => {
    await expect(makeInkTable({ profile: profile.slice(0, 9999) })).rejects.toThrow();
    expect((await makeInkTable({ profile })).cube[3]).toBe(full);
  });
});

describe("calibration", () => {
  /** Dot gain after Yule and Nielsen: what covers `asked` looks like more. */
  const gained = (asked: number): number =>
    Math.min(1, (1 - (1 - asked * (1 - 0.05 ** (1 / 2))) ** 2) / (1 - 0.05));
  const wedge = Array.from({ length: 21 }, (_, i) => ({ asked: i / 20, measured: gained(i / 20) }));

  test("undoes the gain that a wedge has shown", () => {
    const curve = linearisation(wedge);
    for (let wanted = 0; wanted <= 1; wanted += 0.01) {
      expect(Math.abs(gained(wanted) - wanted)).toBeLessThan(0.2);
      expect(Math.abs(gained(curve(wanted)) - wanted)).toBeLessThan(0.004);
    }
    expect([curve(0), curve(1)]).toEqual([0, 1]);
  });

  test("goes into the table: colours in the cube, black also for greys", async () => {
    const wedges = parseCalibration(JSON.stringify({ version: 1, wedges: { black: wedge, cyan: wedge } }));
    const [plain, table] = [idealInks(), await makeInkTable({ wedges })];
    for (let i = 0; i < table.cube.length; i += 400) {
      expect(Math.abs(gained(table.cube[i]! / full) - plain.cube[i]! / full)).toBeLessThan(0.01);
      expect(table.cube[i + 1]).toBe(plain.cube[i + 1]);
      expect(Math.abs(gained(table.cube[i + 3]! / full) - plain.cube[i + 3]! / full)).toBeLessThan(0.01);
    }
    expect(gained(table.black[4000]! / full)).toBeCloseTo(plain.black[4000]! / full, 2);
    expect([table.black[0], table.black[8192]]).toEqual([full, 0]);
  });

  test.each([
    ["no JSON", "{", "not JSON"],
    ["another version", '{"version":2,"wedges":{}}', "version"],
    ["an unknown ink", '{"version":1,"wedges":{"gold":[]}}', "gold"],
    [
      "a wedge that turns back",
      '{"version":1,"wedges":{"cyan":[{"asked":0,"measured":0},{"asked":1,"measured":0.5},{"asked":1,"measured":1}]}}',
      "rise",
    ],
    [
      "one that lightens",
      '{"version":1,"wedges":{"cyan":[{"asked":0,"measured":0.5},{"asked":1,"measured":0.1}]}}',
      "fall",
    ],
    [
      "one that never begins",
      '{"version":1,"wedges":{"cyan":[{"asked":0.5,"measured":0},{"asked":1,"measured":1}]}}',
      "from 0 to 1",
    ],
    [
      "one without ink",
      '{"version":1,"wedges":{"cyan":[{"asked":0,"measured":0.2},{"asked":1,"measured":0.2}]}}',
      "no darker",
    ],
  ])("%s is refused", (_, text, words) => {
    expect(() => parseCalibration(text)).toThrow(
      expect.objectContaining({ code: "configuration", message: expect.stringContaining(words) }),
    );
  });
});
