import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { floydSteinberg, voidAndCluster } from "./diffusions.ts";
import { type Halftone, halftones } from "./halftones.ts";
import { type PatchFigures, patchFigures, startUp } from "./measures.ts";
import { openPress } from "./press.ts";
import { lightnessOf, observer, pixelsPerDegree, scielab, wsnr } from "./vision.ts";

const side = 256;
const eye = observer(side, pixelsPerDegree(600, 30));
const shares = [0.01, 0.02, 0.05, 0.1, 0.33, 0.5, 0.66, 0.95];
const platen = halftones.get("Platen")!;

const flat = (share: number) => new Float64Array(side * side).fill(share);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

async function figures(halftone: Halftone, plane: number): Promise<PatchFigures[]> {
  const patches = [];
  for (const share of shares)
    patches.push(patchFigures(share, await halftone(flat(share), side, plane), eye));
  return patches;
}

describe("flat tints of the product's dots", () => {
  test("black: grain, anisotropy and coverage stay where docs/pixels.md has them", async () => {
    const patches = await figures(platen, 3);
    expect(mean(patches.map(({ grain }) => grain))).toBeLessThan(0.34);
    expect(mean(patches.map(({ anisotropyDb }) => anisotropyDb))).toBeLessThan(1.1);
    expect(Math.max(...patches.map(({ coverageError }) => coverageError))).toBeLessThan(0.0005);
  });

  test("colours have no direction either", async () => {
    for (const plane of [0, 1, 2]) {
      const patches = await figures(platen, plane);
      expect(mean(patches.map(({ anisotropyDb }) => anisotropyDb))).toBeLessThan(1.2);
    }
  });

  test("light ones begin as evenly as an ordered dither, which carries nothing", async () => {
    for (const share of [0.005, 0.01, 0.02]) {
      const ordered = startUp(share, voidAndCluster(flat(share), side, 3), side);
      expect(startUp(share, await platen(flat(share), side, 3), side)).toBeLessThan(1.25 * ordered);
    }
  });

  test("a colour between dots of black is seen 3 dB better than one that knows nothing of black", async () => {
    const share = 0.5;
    const black = await platen(flat(share), side, 3);
    const free = (dots: Float64Array) => dots.map((dot, i) => dot * (1 - black[i]!));
    const noise = async (told?: Float64Array) =>
      wsnr(eye, flat(share / 2), free(await platen(flat(share), side, 1, told)));
    expect(await noise(black)).toBeGreaterThan((await noise()) + 3);
  });
});

describe("the measures", () => {
  test("see the direction in Floyd and Steinberg's dots and none in void and cluster", () => {
    const of = (dots: Float64Array) => patchFigures(0.1, dots, eye).anisotropyDb;
    expect(of(floydSteinberg(flat(0.1), side))).toBeGreaterThan(2.8);
    expect(of(voidAndCluster(flat(0.1), side, 3))).toBeLessThan(1.5);
  });

  test("find nothing between an image and itself, and a difference of L* where there is one", () => {
    const grey = (y: number) => eye.lab({ side, xyz: [flat(y), flat(y), flat(y)] });
    expect(scielab(grey(0.2), grey(0.2))).toBe(0);
    // L* of 0.2 and 0.3 after CIE 1976.
    expect(scielab(grey(0.2), grey(0.3))).toBeCloseTo(61.654 - 51.837, 1);
  });

  test("weigh noise by its frequency: what the eye does not resolve costs less", () => {
    const signal = flat(0.5);
    const stripes = (period: number) =>
      signal.map((value, i) => value + ((i % side) % period < period / 2 ? 0.1 : -0.1));
    expect(wsnr(eye, signal, stripes(2))).toBeGreaterThan(wsnr(eye, signal, stripes(16)) + 20);
  });
});

test("the press: paper gives all light back, solid inks the profile's, a tint what lies between by chance", async () => {
  const press = await openPress(
    await readFile(new URL("../../firmware-node/profiles/FOGRA39L.icc", import.meta.url)),
  );
  const tint = (c: number, m: number, y: number, k: number) =>
    press
      .light({ side: 1, planes: [c, m, y, k].map((share) => Float64Array.of(share)) })
      .xyz.map(([v]) => v!);
  for (const part of tint(0, 0, 0, 0)) expect(part).toBeCloseTo(1, 2);
  // ISO 12647-2, paper type 1: solid black has L* 16 on paper of L* 95, and cyan 55.
  expect(lightnessOf(tint(0, 0, 0, 1)[1]!)).toBeGreaterThan(12);
  expect(lightnessOf(tint(0, 0, 0, 1)[1]!)).toBeLessThan(20);
  expect(lightnessOf(tint(1, 0, 0, 0)[1]!)).toBeGreaterThan(54);
  expect(lightnessOf(tint(1, 0, 0, 0)[1]!)).toBeLessThan(62);
  const [solid, both, half] = [tint(1, 0, 0, 0), tint(1, 0, 0, 1), tint(1, 0, 0, 0.5)];
  for (const [i, part] of half.entries()) expect(part).toBeCloseTo((solid[i]! + both[i]!) / 2, 10);

  const white = press.separate(Uint8Array.of(255, 255, 255), 1).planes.map(([share]) => share!);
  for (const share of white) expect(share).toBeLessThan(0.005);
  const black = press.separate(Uint8Array.of(0, 0, 0), 1).planes.map(([share]) => share!);
  expect(black[3]).toBeGreaterThan(0.9);
});
