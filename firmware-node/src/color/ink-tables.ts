/** Ink tables for the kernel: an ICC profile as a device link, curves of a calibration applied, the total of ink limited. */
import {
  full,
  gridSide,
  gridValues,
  idealBlack,
  idealCube,
  idealInks,
  type InkTable,
  lightSteps,
  linearOfSrgb,
  srgbLight,
} from "../pixels/ink-table.ts";
import { moreBlack } from "./black-generation.ts";
import { type Curve, curvesOf, type Wedges } from "./calibration.ts";
import { InkError } from "./error.ts";
import type { Intent, OutputProfile, SourceProfile } from "./profile.ts";

/** Plain data: it may be sent to a thread. */
export interface InkOptions {
  /** An ICC output profile for CMYK; without one the engine is taken for ideal (`idealInks`). */
  readonly profile?: Uint8Array;
  /** An ICC profile of the pages' RGB. Default: sRGB. */
  readonly source?: Uint8Array;
  /** Default: perceptual. */
  readonly intent?: Intent;
  /** What neutral pixels are made of: see ink-table.ts. Default: black alone. */
  readonly neutrals?: InkTable["neutrals"];
  /**
   * How much black takes the place of cyan, magenta and yellow where all three are: 0, as the output profile has it, to 100, as
   * much as the colour bears. Default 0. The ideal engine always has as much as the colour bears.
   */
  readonly blackPercent?: number;
  /** Most ink on a place, in hundredths of one ink's solid: 100 to 400, default 400. Black is kept, colours give way. */
  readonly inkLimitPercent?: number;
  /** What step wedges of the inks measured: see calibration.ts. */
  readonly wedges?: Wedges;
}

const black = 3;
/** Steps of the black ramp that tells how dark black alone is. */
const rampSteps = 1024;

/** Colours of the cube's points, 16 bits, red slowest. */
function gridColors(): Uint16Array {
  const edge = gridValues.map((value) => Math.round(value * 257));
  const colors = new Uint16Array(gridSide ** 3 * 3);
  let at = 0;
  for (const r of edge) {
    for (const g of edge) {
      for (const b of edge) {
        for (const value of [r, g, b]) colors[at++] = value;
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
    throw new InkError("configuration", "the output profile's black gets no darker: it is damaged");
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

/** What each value of a channel adds to the light, as the profile of the pages' colours has it: exact where light adds up. */
function lightOfSource(source: SourceProfile): Uint32Array[] {
  const values = Array.from({ length: 256 }, (_, v) => v);
  const luminances = [0, 1, 2].map((channel) => {
    const ramp = new Uint16Array(256 * 3);
    for (const v of values) ramp[v * 3 + channel] = v * 257;
    const lab = source.labOf(ramp);
    const luminance = values.map((v) => luminanceOfLightness(lab[v * 3]!));
    return luminance.map((one) => Math.max(0, one - luminance[0]!));
  });
  const white = luminances.reduce((sum, ramp) => sum + ramp.at(-1)!, 0);
  if (!(white > 0))
    throw new InkError("metafile-invalid", "the pages' colour profile has no light: it is damaged");
  // Rounded down, so that no sum goes beyond white.
  return luminances.map((ramp) => Uint32Array.from(ramp, (one) => Math.floor((one / white) * 2 ** 30)));
}

/** A profile whose greys do not go from paper to dark is damaged, though LittleCMS may read it. */
function checkGreys(profile: OutputProfile, inks: Uint16Array): void {
  const diagonal = Array.from({ length: gridSide }, (_, i) => i * (gridSide * gridSide + gridSide + 1) * 4);
  const lab = profile.labOf(Uint16Array.from(diagonal.flatMap((at) => [...inks.subarray(at, at + 4)])));
  const lightness = diagonal.map((_, i) => lab[i * 3]!);
  const rises = lightness.every((l, i) => i === 0 || l > lightness[i - 1]! - 3);
  if (!rises || lightness[0]! > 60 || lightness.at(-1)! < 90)
    throw new InkError(
      "configuration",
      "the output profile does not lead from white to black: it is damaged",
    );
}

function deviceLink(profile: OutputProfile, options: InkOptions, light: InkTable["light"]): InkTable {
  const { intent = "perceptual", neutrals = "black", blackPercent = 0 } = options;
  const made = profile.inksOf(gridColors(), intent);
  checkGreys(profile, made);
  const inks = blackPercent > 0 ? moreBlack(profile, made, blackPercent / 100) : made;
  const cube = Int16Array.from(inks, (ink) => Math.round((ink * full) / 65535));
  // White is paper whatever the profile's rounding says, and black is black ink alone whatever its rich black is.
  cube.fill(0, cube.length - 4);
  if (neutrals === "black") cube.set([0, 0, 0, full], 0);
  return { cube, black: blackByLight(profile), light, neutrals };
}

/** Brings the colours of each point down until all its inks together are within the limit. */
function limitInk(cube: Int16Array, limitPercent: number): void {
  const limit = Math.floor((limitPercent * full) / 100);
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

/**
 * Makes a table. Throws `configuration` for an output profile that cannot be used, `metafile-invalid` for such a source. The
 * limit counts the dots that are laid, after the curves: it is the paper that cannot take more.
 */
export async function makeInkTable(options: InkOptions): Promise<InkTable> {
  const { inkLimitPercent = 400, wedges = {} } = options;
  const curves = curvesOf(wedges);
  const table = options.profile ? await linkOf(options.profile, options) : await idealOf(options);
  for (const [ink, curve] of curves.entries()) throughCurve(table.cube, curve, ink, 4);
  const blackCurve = curves[black];
  if (blackCurve) throughCurve(table.black, blackCurve, 0, 1);
  limitInk(table.cube, inkLimitPercent);
  return table;
}

/** LittleCMS, loaded where a profile is opened: a printer with ideal inks, and the thread that prints, do without. */
const profiles = () => import("./profile.ts");

async function linkOf(output: Uint8Array, options: InkOptions): Promise<InkTable> {
  const light = await sourceLight(options.source);
  const { openOutput } = await profiles();
  using profile = await openOutput(output, options.source);
  return deviceLink(profile, options, light);
}

async function sourceLight(bytes: Uint8Array | undefined): Promise<InkTable["light"]> {
  if (!bytes) return srgbLight;
  const { openSource } = await profiles();
  using source = await openSource(bytes);
  return lightOfSource(source);
}

async function idealOf({ source: bytes, neutrals = "black" }: InkOptions): Promise<InkTable> {
  if (!bytes) return { ...idealInks(), neutrals };
  const { openSource } = await profiles();
  using source = await openSource(bytes);
  const linear = Float64Array.from(source.srgbOf(gridColors()), (word) => linearOfSrgb(word / 65535));
  return { cube: idealCube(linear), black: idealBlack(), light: lightOfSource(source), neutrals };
}
