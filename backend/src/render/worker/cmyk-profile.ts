/**
 * What DeviceCMYK looks like. pdf.js converts it by the profile of a press (CGATS TR 001, SWOP), where black ink alone is a warm
 * dark grey: sRGB 34, 31, 33. A printer would lay four screened inks under every letter for that. So the profile is given
 * black point compensation with black ink as the black point, and black ink alone is made neutral: `0 0 0 1 k` is black, its tints
 * are greys, and text goes to the black plane alone, as its author meant.
 */

import { lut16At, tagsOf } from "./icc-lab.ts";

const inks = 4;

type Triple = [number, number, number];

/** ICC's 16-bit Lab of version 2 (ICC.1:2001-04 annex A). */
const readLab = (view: DataView, at: number): Triple => [
  view.getUint16(at) / 652.8,
  view.getUint16(at + 2) / 256 - 128,
  view.getUint16(at + 4) / 256 - 128,
];

function writeLab(view: DataView, at: number, [l, a, b]: Triple): void {
  const clamp = (value: number): number => Math.max(0, Math.min(0xffff, Math.round(value)));
  view.setUint16(at, clamp(l * 652.8));
  view.setUint16(at + 2, clamp((a + 128) * 256));
  view.setUint16(at + 4, clamp((b + 128) * 256));
}

/** CIE 1976, relative to white: white is 1, 1, 1. */
function labToXyz([l, a, b]: Triple): Triple {
  const inverse = (t: number): number => (t > 6 / 29 ? t ** 3 : 3 * (6 / 29) ** 2 * (t - 4 / 29));
  const y = (l + 16) / 116;
  return [inverse(y + a / 500), inverse(y), inverse(y - b / 200)];
}

function xyzToLab(xyz: Triple): Triple {
  const f = (t: number): number => (t > (6 / 29) ** 3 ? Math.cbrt(t) : t / (3 * (6 / 29) ** 2) + 4 / 29);
  const [x, y, z] = xyz.map(f) as Triple;
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** The same profile (of version 2, with one table of 16 bits), with black ink alone neutral and black. */
export function withNeutralBlack(profile: Uint8Array): Uint8Array {
  const changed = profile.slice();
  const view = new DataView(changed.buffer);
  const lut = lut16At(view, [...tagsOf(view)].find(({ name }) => name === "A2B0")?.start ?? 0);
  if (lut?.inputs !== inks) throw new Error("not the CMYK profile of pdf.js");
  // L, a, b of each node; black ink varies fastest.
  const node = (index: number): number => lut.grid + index * 6;
  const black = labToXyz(readLab(view, node(lut.gridPoints - 1)));
  for (let index = 0; index < lut.gridPoints ** inks; index++) {
    const xyz = labToXyz(readLab(view, node(index)));
    // Linear in XYZ: white stays, black ink becomes 0, what is darker is as black.
    const scaled = xyz.map((value, i) => Math.max(0, (value - black[i]!) / (1 - black[i]!))) as Triple;
    const [l, a, b] = xyzToLab(scaled);
    writeLab(view, node(index), index < lut.gridPoints ? [l, 0, 0] : [l, a, b]);
  }
  return changed;
}
