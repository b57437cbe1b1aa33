/** The figures by which halftones are compared; docs/pixels.md says how to read them. */
import { filtered, forFrequencies, fourier, type Spectrum } from "./fourier.ts";
import type { Inked, Press } from "./press.ts";
import { lightnessOf, type Observer, scielab, wsnr } from "./vision.ts";

export interface ImageFigures {
  /** Mean S-CIELAB ΔE*ab without the slow part. */
  readonly scielab: number;
  readonly luminanceWsnrDb: number;
  readonly blackWsnrDb: number;
}

/** Measures the halftones of one image, one after the other. */
export function imageMeasure(asked: Inked, press: Press, eye: Observer): (dots: Inked) => ImageFigures {
  const askedLight = press.light(asked);
  const askedLab = eye.lab(askedLight);
  return (dots) => {
    const light = press.light(dots);
    return {
      scielab: scielab(askedLab, eye.lab(light)),
      luminanceWsnrDb: wsnr(eye, askedLight.xyz[1]!, light.xyz[1]!),
      blackWsnrDb: wsnr(eye, asked.planes[3]!, dots.planes[3]!),
    };
  };
}

export interface PatchFigures {
  /** Root mean square of L* through the eye's luminance filter, of ideal black dots. */
  readonly grain: number;
  /** Standard deviation over twelve directions of the power that passes that filter, dB. */
  readonly anisotropyDb: number;
  /** |dots laid − coverage asked|, share of the area. */
  readonly coverageError: number;
}

const directions = 12;
/** Directions in which a regular pattern has less power than this share of dots scattered at random count as that. */
const floorShare = 0.0004;

const mean = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
};

function deviation(values: ArrayLike<number>): number {
  const middle = mean(values);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i]! - middle) ** 2;
  return Math.sqrt(sum / values.length);
}

function anisotropyDb({ side, re, im }: Spectrum, gain: Float64Array): number {
  const power = new Float64Array(directions);
  const weight = new Float64Array(directions);
  forFrequencies(side, (i, u, v) => {
    if (i === 0 || Math.hypot(u, v) > 0.5) return;
    const direction = Math.floor(((Math.atan2(v, u) + Math.PI) / Math.PI) * directions + 0.5) % directions;
    power[direction]! += gain[i]! ** 2 * (re[i]! ** 2 + im[i]! ** 2);
    weight[direction]! += gain[i]! ** 2;
  });
  return deviation(power.map((sum, i) => 10 * Math.log10(sum / weight[i]! + floorShare * side * side)));
}

/** A flat patch of one plane, halftoned: `dots` is side × side, 0 or 1. */
export function patchFigures(coverage: number, dots: Float64Array, eye: Observer): PatchFigures {
  const spectrum = fourier(dots, eye.side);
  const seen = filtered(spectrum, eye.luminanceGain);
  return {
    grain: deviation(seen.map((black) => lightnessOf(1 - black))),
    anisotropyDb: anisotropyDb(spectrum, eye.luminanceGain),
    coverageError: Math.abs(mean(dots) - coverage),
  };
}

/** How many rows an eye takes together there: a tenth of a degree at 600 dpi from 30 cm. */
const togetherRows = 12;
const edgeRows = 48;

/**
 * How uneven a flat patch begins: root mean square, over the first 48 rows, of the coverage that twelve rows together come to,
 * as a share of the coverage asked; 0 where each row is as full as the next.
 */
export function startUp(coverage: number, dots: Float64Array, side: number): number {
  const rows = Float64Array.from({ length: edgeRows }, (_, y) =>
    mean(dots.subarray(y * side, (y + 1) * side)),
  );
  const off = Array.from(
    { length: edgeRows - togetherRows + 1 },
    (_, y) => mean(rows.subarray(y, y + togetherRows)) / coverage - 1,
  );
  return Math.sqrt(mean(off.map((share) => share ** 2)));
}
