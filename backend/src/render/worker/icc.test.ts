import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { withNeutralBlack } from "./cmyk-profile.ts";
import { correctLab, lut16At, tagsOf } from "./icc-lab.ts";

let profile: Uint8Array;
beforeAll(async () => {
  profile = await readFile(
    new URL("iccs/CGATS001Compat-v2-micro.icc", import.meta.resolve("pdfjs-dist/package.json")),
  );
});

/** L, a, b as they stand, of the node of cyan, magenta, yellow, black on the grid. */
function nodeOf(bytes: Uint8Array, ...inks: readonly number[]): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lut = lut16At(view, [...tagsOf(view)].find(({ name }) => name === "A2B0")?.start ?? 0);
  if (!lut) throw new Error("no table");
  const index = inks.reduce((sum, ink) => sum * lut.gridPoints + ink, 0);
  return [0, 2, 4].map((at) => view.getUint16(lut.grid + index * 6 + at));
}

describe("withNeutralBlack", () => {
  it("makes black ink alone neutral, from paper to black", () => {
    const changed = withNeutralBlack(profile);
    const ramp = [0, 1, 2, 3, 4, 5].map((k) => nodeOf(changed, 0, 0, 0, k));
    expect(ramp.every(([, a, b]) => a === 0x8000 && b === 0x8000)).toBe(true);
    expect(ramp.map(([l]) => l)).toEqual(ramp.map(([l]) => l).sort((one = 0, other = 0) => other - one));
    expect([ramp[0], ramp[5]]).toEqual([
      [0xff00, 0x8000, 0x8000],
      [0, 0x8000, 0x8000],
    ]);
  });

  it("leaves colours all but as they are, and the profile that it was given", () => {
    const before = profile.slice();
    const changed = withNeutralBlack(profile);
    for (const inks of [
      [5, 0, 0, 0],
      [0, 5, 0, 0],
      [0, 0, 5, 0],
      [2, 1, 1, 0],
    ] as const) {
      const [was, is] = [nodeOf(profile, ...inks), nodeOf(changed, ...inks)];
      // Two units of L, five of a and b.
      expect(Math.abs(was[0]! - is[0]!)).toBeLessThan(2 * 653);
      for (const i of [1, 2]) expect(Math.abs(was[i]! - is[i]!)).toBeLessThan(5 * 256);
    }
    expect(profile).toEqual(before);
  });
});

describe("correctLab", () => {
  it("rewrites a profile of version 2 as version 4 encodes Lab", () => {
    const changed = profile.slice();
    correctLab(changed);
    expect(nodeOf(changed, 0, 0, 0, 0)).toEqual([0xffff, 0x8080, 0x8080]);
    expect(nodeOf(changed, 5, 5, 5, 5)).toEqual([0, 0x8080, 0x8080]);
  });

  it("leaves profiles of version 4, of XYZ, and broken ones alone", () => {
    const version4 = profile.slice();
    version4[8] = 4;
    const xyz = profile.slice();
    xyz.set(Buffer.from("XYZ "), 20);
    for (const other of [version4, xyz, profile.slice(0, 300), profile.slice(0, 100), new Uint8Array()]) {
      const before = other.slice();
      correctLab(other);
      expect(other).toEqual(before);
    }
  });
});
