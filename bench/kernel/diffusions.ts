/** Halftones by others as they were published, on numbers from 0 to 1. They are here to be measured. */
import { maskSide, maskValues } from "../../firmware-node/src/pixels/blue-noise.ts";
import { ostromoukhovWeights } from "./ostromoukhov.ts";

/** A share of a pixel's error, and where it goes in the direction of the scan. */
type Weight = readonly [dx: number, dy: 0 | 1, share: number];

interface Diffusion {
  /** Every other row from right to left. */
  readonly serpentine?: boolean;
  /** Added to the threshold of one half. */
  readonly noise?: (x: number, y: number) => number;
  readonly weights: (coverage: number) => readonly Weight[];
}

function diffuse(coverage: Float64Array, side: number, { serpentine, noise, weights }: Diffusion) {
  const value = Float64Array.from(coverage);
  const dots = new Float64Array(side * side);
  for (let y = 0; y < side; y++) {
    const step = serpentine && y % 2 === 1 ? -1 : 1;
    for (let n = 0; n < side; n++) {
      const x = step > 0 ? n : side - 1 - n;
      const i = y * side + x;
      dots[i] = value[i]! > 0.5 + (noise?.(x, y) ?? 0) ? 1 : 0;
      const error = value[i]! - dots[i]!;
      for (const [dx, dy, share] of weights(coverage[i]!)) {
        const to = x + dx * step;
        if (to >= 0 && to < side && y + dy < side) value[(y + dy) * side + to]! += share * error;
      }
    }
  }
  return dots;
}

const always = (weights: readonly Weight[]) => () => weights;

const floydSteinbergWeights = always([
  [1, 0, 7 / 16],
  [-1, 1, 3 / 16],
  [0, 1, 5 / 16],
  [1, 1, 1 / 16],
]);

const shiauFanWeights = always([
  [1, 0, 8 / 16],
  [-3, 1, 1 / 16],
  [-2, 1, 1 / 16],
  [-1, 1, 2 / 16],
  [0, 1, 4 / 16],
]);

const variableWeights = ostromoukhovWeights.map(([right, belowLeft, below]): Weight[] => {
  const sum = right + belowLeft + below;
  return [
    [1, 0, right / sum],
    [-1, 1, belowLeft / sum],
    [0, 1, below / sum],
  ];
});

/** The mask at another place for each plane, −½ to ½. */
const noiseOf = (plane: number) => (x: number, y: number) => {
  const row = (y + [0, 23, 83, 61][plane]!) % maskSide;
  return (maskValues[row * maskSide + ((x + [0, 59, 31, 97][plane]!) % maskSide)]! - 127.5) / 256;
};

/** R. W. Floyd and L. Steinberg, Proc. SID 17 (1976): rows from left to right. */
export const floydSteinberg = (coverage: Float64Array, side: number) =>
  diffuse(coverage, side, { weights: floydSteinbergWeights });

/** Ostromoukhov's, every other row from right to left. */
export const ostromoukhov = (coverage: Float64Array, side: number) =>
  diffuse(coverage, side, {
    serpentine: true,
    weights: (share) => {
      const level = Math.floor(share * 255.9999);
      return variableWeights[Math.min(level, 255 - level)]!;
    },
  });

/** Shiau and Fan's weights, 0.15 of blue noise on black's threshold and all of it on the colours'. */
export const shiauFan = (coverage: Float64Array, side: number, plane: number) => {
  const noise = noiseOf(plane);
  const strength = plane === 3 ? 0.15 : 1;
  return diffuse(coverage, side, { weights: shiauFanWeights, noise: (x, y) => strength * noise(x, y) });
};

/** Blue noise alone, as an ordered dither (Ulichney's void and cluster). */
export const voidAndCluster = (coverage: Float64Array, side: number, plane: number) => {
  const noise = noiseOf(plane);
  return coverage.map((share, i) => (share > 0.5 + noise(i % side, Math.floor(i / side)) ? 1 : 0));
};
