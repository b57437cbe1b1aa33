import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { full, idealInks, type InkTable, interpolate, lightOf } from "../pixels/ink-table.ts";
import { deltaE2000, type Lab } from "../testing/delta-e.ts";
import { linearisation, parseCalibration } from "./calibration.ts";
import { makeInkTable } from "./ink-tables.ts";
import { type Intent, openProfile } from "./profile.ts";

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
  using link = await openProfile(profile);
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
    const { black } = await makeInkTable({ profile });
    using link = await openProfile(profile);
    const luminance = (l: number): number => (l > 8 ? ((l + 16) / 116) ** 3 : (l * 27) / 24389);
    const seenOf = (k: number): number => luminance(link.labOf(words([0, 0, 0, k], full))[0]!);
    const solid = seenOf(full);
    for (let v = 5; v < 255; v += 10) {
      const light = lightOf(v, v, v);
      expect(seenOf(black[light]!)).toBeCloseTo(solid + (light / 8192) * (1 - solid), 2.5);
      expect(black[light]).toBeGreaterThanOrEqual(black[light + 1]!);
    }
  });

  test("lays no more ink than the limit, at no colour", async () => {
    for (const inkLimitPercent of [100, 180, 240]) {
      const { cube } = await makeInkTable({ profile, inkLimitPercent });
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
});

describe("bad profiles are refused:", () => {
  const changed = (change: (bytes: Uint8Array) => void): Uint8Array => {
    const bytes = profile.slice();
    change(bytes);
    return bytes;
  };
  const write = (at: number, text: string) => (bytes: Uint8Array) => {
    for (const [i, char] of [...text].entries()) bytes[at + i] = char.charCodeAt(0);
  };
  test.each([
    ["nothing", new Uint8Array(0), "no ICC profile"],
    ["a text", new Uint8Array(4096).fill(65), "no ICC profile"],
    ["a display's", changed(write(12, "mntr")), 'class "mntr"'],
    ["a device link", changed(write(12, "link")), 'class "link"'],
    ["one for RGB", changed(write(16, "RGB ")), 'for "RGB "'],
    ["one cut off", profile.slice(0, 50_000), "damaged"],
    ["one with tags lost", changed((bytes) => bytes.fill(0, 128, 400)), "damaged"],
    ["one with tables of noise", changed((bytes) => bytes.fill(255, 400, 2000)), "damaged"],
  ])("%s", async (_, bytes, words) => {
    await expect(makeInkTable({ profile: bytes })).rejects.toMatchObject({
      code: "configuration",
      message: expect.stringContaining(words),
    });
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
    const curves = parseCalibration(JSON.stringify({ version: 1, wedges: { black: wedge, cyan: wedge } }));
    const [plain, table] = [idealInks(), await makeInkTable({ curves })];
    for (let i = 0; i < table.cube.length; i += 400) {
      expect(gained(table.cube[i]! / full)).toBeCloseTo(plain.cube[i]! / full, 2);
      expect(table.cube[i + 1]).toBe(plain.cube[i + 1]);
      expect(gained(table.cube[i + 3]! / full)).toBeCloseTo(plain.cube[i + 3]! / full, 2);
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
