/**
 * What an eye makes of dots: a model, for measuring halftones.
 *
 * Sources: X. Zhang and B. A. Wandell, "A spatial extension of CIELAB for digital color image reproduction", SID 1996
 * (S-CIELAB: opponent channels and filters); J. L. Mannos and D. J. Sakrison, IEEE Trans. Inf. Theory 20 (1974) with the
 * low-pass and oblique changes of T. Mitsa and K. L. Varkur, ICASSP 1993 (the contrast sensitivity behind WSNR).
 */
import { filtered, forFrequencies, fourier } from "./fourier.ts";
import type { Light } from "./press.ts";

/** Samples a degree at a resolution and a distance. */
export const pixelsPerDegree = (dpi: number, distanceCm: number): number =>
  (dpi / 2.54) * distanceCm * Math.tan(Math.PI / 180);

/** X, Y and Z of the white that the opponent channels are made for, D65. */
const white = [0.9505, 1, 1.089];

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

/** The same with X, Y and Z over the white's. */
const opponentOfLight = opponentOfXyz.map((row) => row.map((weight, i) => weight * white[i]!));

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
const lightOfOpponent = inverse(opponentOfLight);

/**
 * The eye's filters as gains by frequency. The luminance filter's third part, 4.3° wide and negative, measures the
 * surroundings and not the texture: it is left out, and the rest brought back to a sum of one.
 */
function eyeGains(side: number, perDegree: number): Float64Array[] {
  return eye.map((parts) => {
    const used = parts.filter(([, spread]) => spread < 1);
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

/** L* of a luminance over white's. */
export const lightnessOf = (y: number): number => 116 * labCurve(Math.max(0, y)) - 16;

/** One who looks at square images of a size from a distance. */
export interface Observer {
  readonly side: number;
  /** CIELAB of each pixel as the eye sees it. */
  lab(light: Light): Float64Array[];
  /** What S-CIELAB's luminance filter leaves of a frequency, as `forFrequencies` numbers them. */
  readonly luminanceGain: Float64Array;
  /** Contrast sensitivity by frequency, as `forFrequencies` numbers them. */
  readonly sensitivity: Float64Array;
}

export function observer(side: number, perDegree: number): Observer {
  const gains = eyeGains(side, perDegree);
  return {
    side,
    luminanceGain: gains[0]!,
    sensitivity: contrastSensitivity(side, perDegree),
    lab({ xyz }) {
      const seen = apply(opponentOfLight, xyz).map((channel, i) =>
        filtered(fourier(channel, side), gains[i]!),
      );
      const [x, y, z] = apply(lightOfOpponent, seen).map((channel) =>
        channel.map((value) => labCurve(Math.max(0, value))),
      );
      return [
        y!.map((value) => 116 * value - 16),
        x!.map((value, i) => 500 * (value - y![i]!)),
        y!.map((value, i) => 200 * (value - z![i]!)),
      ];
    },
  };
}

/** Mean ΔE*ab of two images as seen, from an observer's `lab` of each. */
export function scielab(
  [la, aa, ba]: readonly Float64Array[],
  [lb, ab, bb]: readonly Float64Array[],
): number {
  let sum = 0;
  for (let i = 0; i < la!.length; i++)
    sum += Math.hypot(la![i]! - lb![i]!, aa![i]! - ab![i]!, ba![i]! - bb![i]!);
  return sum / la!.length;
}

function contrastSensitivity(side: number, perDegree: number): Float64Array {
  const gain = new Float64Array(side * side);
  forFrequencies(side, (i, u, v) => {
    const oblique = 0.15 * Math.cos(4 * Math.atan2(v, u)) + 0.85;
    const f = (Math.hypot(u, v) * perDegree) / oblique;
    gain[i] = f < 7.8909 ? 0.9809 : 2.6 * (0.0192 + 0.114 * f) * Math.exp(-((0.114 * f) ** 1.1));
  });
  return gain;
}

/** Weighted signal-to-noise ratio, dB, of an image and its halftone in one channel. */
export function wsnr({ side, sensitivity }: Observer, signal: Float64Array, halftone: Float64Array): number {
  const noise = signal.map((value, i) => value - halftone[i]!);
  return 10 * Math.log10(seenPower(signal, side, sensitivity) / seenPower(noise, side, sensitivity));
}

function seenPower(channel: Float64Array, side: number, sensitivity: Float64Array): number {
  const { re, im } = fourier(channel, side);
  let power = 0;
  for (let i = 0; i < re.length; i++) power += sensitivity[i]! ** 2 * (re[i]! ** 2 + im[i]! ** 2);
  return power;
}
