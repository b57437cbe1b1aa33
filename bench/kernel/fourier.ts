/** The discrete Fourier transform of a square image whose side is a power of two. */

/** Real and imaginary parts, side × side each, row by row. */
export interface Spectrum {
  readonly side: number;
  readonly re: Float64Array;
  readonly im: Float64Array;
}

interface Plan {
  readonly cos: Float64Array;
  readonly sin: Float64Array;
  readonly reversed: Uint32Array;
}

const plans = new Map<number, Plan>();

function planOf(size: number): Plan {
  let plan = plans.get(size);
  if (plan) return plan;
  const bits = Math.log2(size);
  if (!Number.isInteger(bits)) throw new RangeError(`the side must be a power of two, not ${size}`);
  plan = {
    cos: Float64Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size)),
    sin: Float64Array.from({ length: size / 2 }, (_, i) => Math.sin((2 * Math.PI * i) / size)),
    reversed: Uint32Array.from({ length: size }, (_, i) => {
      let reversed = 0;
      for (let bit = 0; bit < bits; bit++) reversed |= ((i >> bit) & 1) << (bits - 1 - bit);
      return reversed;
    }),
  };
  plans.set(size, plan);
  return plan;
}

/** In place, iterative radix 2 (Cooley and Tukey 1965). */
function transformLine(re: Float64Array, im: Float64Array, plan: Plan): void {
  const size = re.length;
  const { cos, sin, reversed } = plan;
  for (let i = 0; i < size; i++) {
    const j = reversed[i]!;
    if (j <= i) continue;
    const [r, m] = [re[i]!, im[i]!];
    re[i] = re[j]!;
    im[i] = im[j]!;
    re[j] = r;
    im[j] = m;
  }
  for (let half = 1; half < size; half *= 2) {
    const step = size / (2 * half);
    for (let start = 0; start < size; start += 2 * half) {
      for (let k = 0; k < half; k++) {
        const c = cos[k * step]!;
        const s = sin[k * step]!;
        const a = start + k;
        const b = a + half;
        const r = re[b]! * c + im[b]! * s;
        const m = im[b]! * c - re[b]! * s;
        re[b] = re[a]! - r;
        im[b] = im[a]! - m;
        re[a]! += r;
        im[a]! += m;
      }
    }
  }
}

function transformPlane({ side, re, im }: Spectrum): void {
  const plan = planOf(side);
  for (let y = 0; y < side; y++) {
    transformLine(re.subarray(y * side, (y + 1) * side), im.subarray(y * side, (y + 1) * side), plan);
  }
  const columnRe = new Float64Array(side);
  const columnIm = new Float64Array(side);
  for (let x = 0; x < side; x++) {
    for (let y = 0; y < side; y++) {
      columnRe[y] = re[y * side + x]!;
      columnIm[y] = im[y * side + x]!;
    }
    transformLine(columnRe, columnIm, plan);
    for (let y = 0; y < side; y++) {
      re[y * side + x] = columnRe[y]!;
      im[y * side + x] = columnIm[y]!;
    }
  }
}

export function fourier(image: Float64Array, side: number): Spectrum {
  const spectrum = { side, re: Float64Array.from(image), im: new Float64Array(side * side) };
  transformPlane(spectrum);
  return spectrum;
}

/** The image of a spectrum that belongs to a real one, each frequency weighted by `gain[i]`. */
export function filtered({ side, re, im }: Spectrum, gain: Float64Array): Float64Array {
  const size = side * side;
  // The inverse by the forward transform of the conjugate; the result is real.
  const work = {
    side,
    re: re.map((value, i) => (value * gain[i]!) / size),
    im: im.map((value, i) => (-value * gain[i]!) / size),
  };
  transformPlane(work);
  return work.re;
}

/** Calls back with each frequency's index and its cycles a pixel, −0.5 to 0.5, both ways. */
export function forFrequencies(side: number, visit: (i: number, u: number, v: number) => void): void {
  for (let y = 0; y < side; y++) {
    const v = (y < side / 2 ? y : y - side) / side;
    for (let x = 0; x < side; x++) visit(y * side + x, (x < side / 2 ? x : x - side) / side, v);
  }
}
