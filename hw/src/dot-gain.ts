/**
 * What a printed side looks like to a scanner: dots are larger than their places, and light that enters the paper between dots
 * comes out under them.
 *
 * A dot is a disc (the circular dot-overlap model of T. N. Pappas and D. L. Neuhoff, "Printer models and error diffusion", IEEE
 * Trans. Image Processing 4 (1995)), so how much of a place is covered follows from the dots on it and on its eight neighbours:
 * 512 patterns, reckoned once. Covered area becomes reflectance as J. A. C. Yule and W. J. Nielsen have it (TAGA 1951); inks
 * fall on each other independently.
 */
import type { Ink, PrintedSide } from "./engine-model.ts";

export interface InkLook {
  /** Radius of a dot in distances between dots, 0.5 to 1.5. From 0.71 on a field of dots has no gaps. */
  readonly dotRadius: number;
  /** Yule–Nielsen n: 1 where light stays where it enters, 2 where it comes out anywhere. */
  readonly scatter: number;
  /** Reflectance of the solid ink for red, green and blue light, as a share of the paper's. */
  readonly solid: readonly [number, number, number];
}

export type InkLooks = Readonly<Record<Ink, InkLook>>;

/** An ink-jet printer on plain paper: dots spread, every ink in its own way. */
export const plainPaper: InkLooks = {
  cyan: { dotRadius: 0.74, scatter: 1.3, solid: [0.06, 0.34, 0.55] },
  magenta: { dotRadius: 0.72, scatter: 1.3, solid: [0.55, 0.07, 0.22] },
  yellow: { dotRadius: 0.78, scatter: 1.2, solid: [0.86, 0.74, 0.08] },
  black: { dotRadius: 0.76, scatter: 1.4, solid: [0.04, 0.04, 0.04] },
};

export interface ScanOptions {
  /** Dots across and along that make one pixel of the scan: several, since scattered light is reckoned by pixels. */
  readonly dotsPerPixel: number;
  readonly looks?: InkLooks;
  /** Reflectance of the paper. Default: 0.85. */
  readonly paper?: number;
  /** Standard deviation of the scanner's noise, as a reflectance. Default: 0.004. */
  readonly noise?: number;
}

export interface Scan {
  readonly widthPx: number;
  readonly heightPx: number;
  /** sRGB, three bytes a pixel. */
  readonly pixels: Uint8Array;
}

/** Samples along each edge of a place. */
const samples = 24;

/**
 * Share of a place that is covered, by the dots on it and around it: bit 0 is above left, bit 4 the place itself, bit 8 below
 * right.
 */
export function coveredShares(dotRadius: number): Float64Array {
  const patterns = new Float64Array(512);
  for (let sample = 0; sample < samples * samples; sample++) {
    const x = ((sample % samples) + 0.5) / samples + 1;
    const y = (Math.floor(sample / samples) + 0.5) / samples + 1;
    let reaching = 0;
    for (let place = 0; place < 9; place++) {
      const distance = Math.hypot(x - (place % 3) - 0.5, y - Math.floor(place / 3) - 0.5);
      if (distance <= dotRadius) reaching |= 1 << place;
    }
    for (let pattern = 0; pattern < 512; pattern++) if (pattern & reaching) patterns[pattern]! += 1;
  }
  return patterns.map((hits) => hits / (samples * samples));
}

/** Three bits in reverse. */
const mirrored = [0, 4, 2, 6, 1, 5, 3, 7];

/** Covered area of each pixel of the scan, 0 to 1, by one plane. */
function coverageOf(side: PrintedSide, bits: Uint8Array, shares: Float64Array, dots: number): Float32Array {
  const { widthPx, heightPx, strideBytes } = side;
  const [width, height] = [Math.floor(widthPx / dots), Math.floor(heightPx / dots)];
  const covered = new Float32Array(width * height);
  const byteAt = (row: number, column: number): number =>
    row < 0 || row >= heightPx || column < 0 || column >= strideBytes ? 0 : bits[row * strideBytes + column]!;
  /** Eight places and one on either side, the leftmost in the highest of ten bits. */
  const around = (row: number, column: number): number =>
    ((byteAt(row, column - 1) & 1) << 9) | (byteAt(row, column) << 1) | (byteAt(row, column + 1) >> 7);
  for (let y = 0; y < height * dots; y++) {
    const line = Math.floor(y / dots) * width;
    for (let column = 0; column < strideBytes; column++) {
      const [above, here, below] = [around(y - 1, column), around(y, column), around(y + 1, column)];
      if ((above | here | below) === 0) continue;
      const end = Math.min(8, width * dots - column * 8);
      for (let i = 0; i < end; i++) {
        const shift = 7 - i;
        // Leftmost first in the row's ten bits, lowest bit first in a pattern.
        const pattern =
          mirrored[(above >> shift) & 7]! |
          (mirrored[(here >> shift) & 7]! << 3) |
          (mirrored[(below >> shift) & 7]! << 6);
        covered[line + Math.floor((column * 8 + i) / dots)]! += shares[pattern]!;
      }
    }
  }
  for (let i = 0; i < covered.length; i++) covered[i]! /= dots * dots;
  return covered;
}

/** Noise with a standard deviation of one, the same every time. */
function noiseSource(): () => number {
  let state = 1;
  const uniform = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  // Three uniform numbers are normal enough for a scanner.
  return () => (uniform() + uniform() + uniform() - 1.5) * 2;
}

/** sRGB (IEC 61966-2-1) of so many steps of linear light. */
const lightSteps = 65_535;
const encoded = new Uint8Array(lightSteps + 1);
for (let step = 0; step <= lightSteps; step++) {
  const light = step / lightSteps;
  encoded[step] = Math.round(255 * (light <= 0.0031308 ? light * 12.92 : 1.055 * light ** (1 / 2.4) - 0.055));
}

/** Scans a printed side. */
export function scanOf(side: PrintedSide, options: ScanOptions): Scan {
  const { dotsPerPixel, looks = plainPaper, paper = 0.85, noise = 0.004 } = options;
  const widthPx = Math.floor(side.widthPx / dotsPerPixel);
  const heightPx = Math.floor(side.heightPx / dotsPerPixel);
  const light = new Float32Array(widthPx * heightPx * 3).fill(paper);
  for (const [ink, bits] of side.planes) {
    const { dotRadius, scatter, solid } = looks[ink];
    const covered = coverageOf(side, bits, coveredShares(dotRadius), dotsPerPixel);
    const roots = solid.map((share) => share ** (1 / scatter));
    for (let i = 0; i < covered.length; i++) {
      const area = covered[i]!;
      if (area === 0) continue;
      for (let channel = 0; channel < 3; channel++) {
        light[i * 3 + channel]! *= (1 - area + area * roots[channel]!) ** scatter;
      }
    }
  }
  const next = noiseSource();
  const pixels = new Uint8Array(light.length);
  for (let i = 0; i < light.length; i++) {
    const seen = Math.min(1, Math.max(0, light[i]! + noise * next()));
    pixels[i] = encoded[Math.round(lightSteps * seen)]!;
  }
  return { widthPx, heightPx, pixels };
}
