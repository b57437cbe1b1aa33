/** Ink tables for the kernel: an ICC profile as a device link, the total of ink limited, curves of a calibration applied. */
import { PlatenError } from "@platen/proto";
import { full, gridSide, idealInks, type InkTable, lightSteps } from "../pixels/ink-table.ts";
import type { Curve } from "./calibration.ts";
import { type Intent, type OutputProfile, openProfile } from "./profile.ts";

export interface InkOptions {
  /** An ICC output profile for CMYK; without one the engine is taken for ideal (`idealInks`). */
  readonly profile?: Uint8Array;
  /** Default: perceptual. */
  readonly intent?: Intent;
  /** Most ink on a place, in hundredths of one ink's solid: 100 to 400, default 400. Black is kept, colours give way. */
  readonly inkLimitPercent?: number;
  /** Curves of cyan, magenta, yellow, black: see calibration.ts. */
  readonly curves?: readonly Curve[];
}

const black = 3;
/** Steps of the black ramp that tells how dark black alone is. */
const rampSteps = 1024;

/** sRGB of the cube's points, 16 bits, red slowest. */
function gridColors(): Uint16Array {
  const value = (i: number): number => Math.round((i * 65535) / (gridSide - 1));
  const colors = new Uint16Array(gridSide ** 3 * 3);
  let at = 0;
  for (let r = 0; r < gridSide; r++) {
    for (let g = 0; g < gridSide; g++) {
      for (let b = 0; b < gridSide; b++) {
        for (const i of [r, g, b]) colors[at++] = value(i);
      }
    }
  }
  return colors;
}

const luminanceOfLightness = (lightness: number): number =>
  lightness > 8 ? ((lightness + 16) / 116) ** 3 : (lightness * 27) / 24389;

/**
 * Black alone by light: what of it, in the profile's eyes, leaves that luminance, the scale from solid black to paper (black
 * point compensation for an engine with this one ink).
 */
function blackByLight(profile: OutputProfile): Int16Array {
  const ramp = new Uint16Array((rampSteps + 1) * 4);
  for (let i = 0; i <= rampSteps; i++) ramp[i * 4 + black] = Math.round((i * 65535) / rampSteps);
  const lab = profile.labOf(ramp);
  const luminance = Array.from({ length: rampSteps + 1 }, (_, i) => luminanceOfLightness(lab[i * 3]!));
  const [paper, solid] = [luminance[0]!, luminance[rampSteps]!];
  if (!(paper > solid))
    throw new PlatenError("configuration", "the output profile's black gets no darker: it is damaged");
  let step = rampSteps;
  return Int16Array.from({ length: lightSteps + 1 }, (_, light) => {
    const wanted = solid + (light / lightSteps) * (paper - solid);
    while (step > 0 && luminance[step]! < wanted) step--;
    if (step === rampSteps) return full;
    const [lighter, darker] = [luminance[step]!, luminance[step + 1]!];
    const part = lighter > darker ? (lighter - wanted) / (lighter - darker) : 0;
    return Math.round((full * (step + Math.min(1, Math.max(0, part)))) / rampSteps);
  });
}

function deviceLink(profile: OutputProfile, intent: Intent): InkTable {
  const cube = Int16Array.from(profile.inksOf(gridColors(), intent), (ink) =>
    Math.round((ink * full) / 65535),
  );
  // White is paper and black is black ink alone, whatever the profile's rounding or its rich black say.
  cube.set([0, 0, 0, full], 0);
  cube.fill(0, cube.length - 4);
  return { cube, black: blackByLight(profile), neutrals: "black" };
}

/** Brings the colours of each point down until all its inks together are within the limit. */
function limitInk(cube: Int16Array, limitPercent: number): void {
  const limit = Math.round((limitPercent * full) / 100);
  for (let i = 0; i < cube.length; i += 4) {
    const colors = cube[i]! + cube[i + 1]! + cube[i + 2]!;
    const room = limit - cube[i + black]!;
    if (colors <= room) continue;
    for (let ink = 0; ink < black; ink++) cube[i + ink] = Math.floor((cube[i + ink]! * room) / colors);
  }
}

const throughCurve = (values: Int16Array, curve: Curve, first: number, step: number): void => {
  for (let i = first; i < values.length; i += step) values[i] = Math.round(full * curve(values[i]! / full));
};

/** Makes a table. Throws `configuration` for a profile that cannot be used. */
export async function makeInkTable(options: InkOptions): Promise<InkTable> {
  const { intent = "perceptual", inkLimitPercent = 400, curves = [] } = options;
  const table = options.profile ? await linkOf(options.profile, intent) : idealInks();
  limitInk(table.cube, inkLimitPercent);
  for (const [ink, curve] of curves.entries()) throughCurve(table.cube, curve, ink, 4);
  const blackCurve = curves[black];
  if (blackCurve) throughCurve(table.black, blackCurve, 0, 1);
  return table;
}

async function linkOf(bytes: Uint8Array, intent: Intent): Promise<InkTable> {
  using profile = await openProfile(bytes);
  return deviceLink(profile, intent);
}
