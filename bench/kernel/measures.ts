/** The figures by which halftones are compared; README.md in docs says how to read them. */
import { forFrequencies, fourier } from "./fourier.ts";
import { contrastSensitivity, type Inked, lightOf, luminance, scielab, seenLab, wsnr } from "./vision.ts";

export interface ImageFigures {
  /** Mean S-CIELAB ΔE*ab without the slow part. */
  readonly scielab: number;
  readonly luminanceWsnrDb: number;
  readonly blackWsnrDb: number;
}

export const imageFigures = (asked: Inked, dots: Inked, perDegree: number): ImageFigures => ({
  scielab: scielab(asked, dots, perDegree),
  luminanceWsnrDb: wsnr(luminance(lightOf(asked)), luminance(lightOf(dots)), asked.side, perDegree),
  blackWsnrDb: wsnr(asked.planes[3]!, dots.planes[3]!, asked.side, perDegree),
});

export interface PatchFigures {
  /** Root mean square of L* as seen. */
  readonly grain: number;
  /** The strongest of 18 directions above the mean of all, dB, of what the eye sees of the spectrum. */
  readonly anisotropyDb: number;
  /** |dots laid − coverage asked|, share of the area. */
  readonly coverageError: number;
}

const mean = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
};

/** A flat patch of one plane, halftoned: `dots` is side × side, 0 or 1. */
export function patchFigures(
  coverage: number,
  dots: Float64Array,
  side: number,
  perDegree: number,
): PatchFigures {
  const none = new Float64Array(side * side);
  const lightness = seenLab({ side, planes: [none, none, none, dots] }, perDegree)[0]!;
  const level = mean(lightness);
  const sectors = new Float64Array(18);
  const counts = new Float64Array(18);
  const gain = contrastSensitivity(side, perDegree);
  const { re, im } = fourier(dots, side);
  forFrequencies(side, (i, u, v) => {
    if (i === 0 || Math.hypot(u, v) > 0.5) return;
    const sector = Math.floor(((Math.atan2(v, u) + Math.PI) / Math.PI) * 18 + 0.5) % 18;
    sectors[sector]! += gain[i]! ** 2 * (re[i]! ** 2 + im[i]! ** 2);
    counts[sector]! += gain[i]! ** 2;
  });
  const power = sectors.map((sum, i) => sum / counts[i]!);
  return {
    grain: Math.sqrt(mean(lightness.map((value) => (value - level) ** 2))),
    anisotropyDb: 10 * Math.log10(Math.max(...power) / mean(power)),
    coverageError: Math.abs(mean(dots) - coverage),
  };
}
