/**
 * What an eye makes of dots: the paper, the inks and the eye as models, for measuring halftones.
 *
 * Sources: X. Zhang and B. A. Wandell, "A spatial extension of CIELAB for digital color image reproduction", SID 1996
 * (S-CIELAB: opponent channels and filters); J. L. Mannos and D. J. Sakrison, IEEE Trans. Inf. Theory 20 (1974) with the
 * low-pass and oblique changes of T. Mitsa and K. L. Varkur, ICASSP 1993 (the contrast sensitivity behind WSNR).
 */
import { filtered, forFrequencies, fourier } from "./fourier.ts";

/** Ink coverage 0 to 1, or dots 0 and 1, of a square image: cyan, magenta, yellow, black, side × side each. */
export interface Inked {
  readonly side: number;
  readonly planes: readonly Float64Array[];
}

/** Samples a degree at a resolution and a distance. */
export const pixelsPerDegree = (dpi: number, distanceCm: number): number =>
  (dpi / 2.54) * distanceCm * Math.tan(Math.PI / 180);

/** Linear sRGB, 0 to 1, of inks that each take all of their own third of the light (and black all), seen as they overlap. */
export function lightOf({ planes }: Inked): Float64Array[] {
  const k = planes[3]!;
  return planes.slice(0, 3).map((ink) => ink.map((covered, i) => (1 - covered) * (1 - k[i]!)));
}

/** IEC 61966-2-1, white at Y = 1. */
const xyzOfRgb = [
  [0.4124, 0.3576, 0.1805],
  [0.2126, 0.7152, 0.0722],
  [0.0193, 0.1192, 0.9505],
];
const white = xyzOfRgb.map((row) => row.reduce((sum, weight) => sum + weight, 0));

/** Opponent channels of Poirson and Wandell (1993): luminance, red-green, blue-yellow. */
const opponentOfXyz = [
  [0.279, 0.72, -0.107],
  [-0.449, 0.29, -0.077],
  [0.086, -0.59, 0.501],
];

/** Gaussians exp(−r² ∕ spread²) of each opponent channel: weight, spread in degrees. */
const eye: readonly (readonly (readonly [weight: number, spreadDeg: number])[])[] = [
  [
    [0.921, 0.0283],
    [0.105, 0.133],
    [-0.108, 4.336],
  ],
  [
    [0.531, 0.0392],
    [0.33, 0.494],
  ],
  [
    [0.488, 0.0536],
    [0.371, 0.386],
  ],
];

const apply = (matrix: readonly (readonly number[])[], channels: readonly Float64Array[]): Float64Array[] =>
  matrix.map(([a, b, c]) =>
    channels[0]!.map((value, i) => a! * value + b! * channels[1]![i]! + c! * channels[2]![i]!),
  );

function inverse(m: readonly (readonly number[])[]): number[][] {
  const at = (row: number, column: number): number => m[(row + 3) % 3]![(column + 3) % 3]!;
  const cofactor = (r: number, c: number): number =>
    at(r + 1, c + 1) * at(r + 2, c + 2) - at(r + 1, c + 2) * at(r + 2, c + 1);
  const determinant = [0, 1, 2].reduce((sum, c) => sum + at(0, c) * cofactor(0, c), 0);
  return [0, 1, 2].map((r) => [0, 1, 2].map((c) => cofactor(c, r) / determinant));
}
const xyzOfOpponent = inverse(opponentOfXyz);

/**
 * The eye's filters as gains by frequency. The luminance filter's third part, 4.3° wide and negative, measures the
 * surroundings and not the texture: it is left out (`slow` puts it in), and the rest brought back to a sum of one.
 */
function eyeGains(side: number, perDegree: number, slow: boolean): Float64Array[] {
  return eye.map((parts) => {
    const used = slow ? parts : parts.filter(([, spread]) => spread < 1);
    const total = used.reduce((sum, [weight]) => sum + weight, 0);
    const gain = new Float64Array(side * side);
    forFrequencies(side, (i, u, v) => {
      for (const [weight, spread] of used) {
        gain[i]! += (weight / total) * Math.exp(-((Math.PI * spread * perDegree) ** 2) * (u * u + v * v));
      }
    });
    return gain;
  });
}

const labCurve = (t: number): number => (t > 216 / 24389 ? Math.cbrt(t) : ((24389 / 27) * t + 16) / 116);

/** CIELAB of each pixel as the eye sees it at this distance. */
export function seenLab(image: Inked, perDegree: number, slow = false): Float64Array[] {
  const gains = eyeGains(image.side, perDegree, slow);
  const opponent = apply(opponentOfXyz, apply(xyzOfRgb, lightOf(image)));
  const seen = opponent.map((channel, i) => filtered(fourier(channel, image.side), gains[i]!));
  const [x, y, z] = apply(xyzOfOpponent, seen).map((channel, i) =>
    channel.map((value) => labCurve(Math.max(0, value) / white[i]!)),
  );
  return [
    y!.map((value) => 116 * value - 16),
    x!.map((value, i) => 500 * (value - y![i]!)),
    y!.map((value, i) => 200 * (value - z![i]!)),
  ];
}

/** Mean ΔE*ab of two images as seen. */
export function scielab(a: Inked, b: Inked, perDegree: number, slow = false): number {
  const [la, aa, ba] = seenLab(a, perDegree, slow);
  const [lb, ab, bb] = seenLab(b, perDegree, slow);
  let sum = 0;
  for (let i = 0; i < la!.length; i++)
    sum += Math.hypot(la![i]! - lb![i]!, aa![i]! - ab![i]!, ba![i]! - bb![i]!);
  return sum / la!.length;
}

/** Contrast sensitivity by frequency. */
export function contrastSensitivity(side: number, perDegree: number): Float64Array {
  const gain = new Float64Array(side * side);
  forFrequencies(side, (i, u, v) => {
    const oblique = 0.15 * Math.cos(4 * Math.atan2(v, u)) + 0.85;
    const f = (Math.hypot(u, v) * perDegree) / oblique;
    gain[i] = f < 7.8909 ? 0.9809 : 2.6 * (0.0192 + 0.114 * f) * Math.exp(-((0.114 * f) ** 1.1));
  });
  return gain;
}

/** Weighted signal-to-noise ratio, dB, of an image and its halftone in one channel. */
export function wsnr(signal: Float64Array, halftone: Float64Array, side: number, perDegree: number): number {
  const gain = contrastSensitivity(side, perDegree);
  const s = fourier(signal, side);
  const n = fourier(
    signal.map((value, i) => value - halftone[i]!),
    side,
  );
  let signalPower = 0;
  let noisePower = 0;
  for (let i = 0; i < gain.length; i++) {
    signalPower += gain[i]! ** 2 * (s.re[i]! ** 2 + s.im[i]! ** 2);
    noisePower += gain[i]! ** 2 * (n.re[i]! ** 2 + n.im[i]! ** 2);
  }
  return 10 * Math.log10(signalPower / noisePower);
}

/** Relative luminance of linear sRGB. */
export function luminance(light: readonly Float64Array[]): Float64Array {
  const [r, g, b] = xyzOfRgb[1]!;
  return light[0]!.map((value, i) => r! * value + g! * light[1]![i]! + b! * light[2]![i]!);
}
