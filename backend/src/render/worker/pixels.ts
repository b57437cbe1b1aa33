/**
 * Pixels as 32-bit words: R, G, B, A from the lowest byte up, as a canvas gives them on every machine that Node runs on
 * (little endian). All pixels here are opaque.
 */

/** What a band or a slice of it holds, as BandContent; ordered, so that a merged band holds the greater one. */
export const pixelContent = { blank: 0, grey: 1, color: 2 } as const;
export type PixelContent = (typeof pixelContent)[keyof typeof pixelContent];

/** R against G and G against B at once: the lower 16 bits are 0 when they are equal. */
const unlike = (pixel: number): number => pixel ^ (pixel >>> 8);

/** Whether every pixel has R = G = B. */
export function isGrey(pixels: Uint32Array): boolean {
  const whole = pixels.length & ~7;
  // One branch for eight pixels.
  for (let i = 0; i < whole; i += 8) {
    const left =
      unlike(pixels[i]!) | unlike(pixels[i + 1]!) | unlike(pixels[i + 2]!) | unlike(pixels[i + 3]!);
    const right =
      unlike(pixels[i + 4]!) | unlike(pixels[i + 5]!) | unlike(pixels[i + 6]!) | unlike(pixels[i + 7]!);
    if (((left | right) & 0xffff) !== 0) return false;
  }
  return pixels.subarray(whole).every((pixel) => (unlike(pixel) & 0xffff) === 0);
}

/** Of grey pixels, one byte each. */
export function packGrey(pixels: Uint32Array): Uint8Array {
  const grey = new Uint8Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) grey[i] = pixels[i]!;
  return grey;
}

/** IEC 61966-2-1. */
const toLinear = (value: number): number => {
  const v = value / 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
};
const fromLinear = (v: number): number =>
  Math.round(255 * (v <= 0.0031308 ? v * 12.92 : 1.055 * v ** (1 / 2.4) - 0.055));

/** Steps of luminance: more than one for each of the 256 greys, also where they lie closest, at the dark end. */
const luminanceSteps = 8191;
const weighted = (weight: number): Float32Array =>
  Float32Array.from({ length: 256 }, (_, value) => weight * toLinear(value) * luminanceSteps);
// ITU-R BT.709, as sRGB has it.
const red = weighted(0.2126);
const green = weighted(0.7152);
const blue = weighted(0.0722);
const greyWord = Uint32Array.from(
  { length: luminanceSteps + 2 },
  (_, y) => 0xff000000 + fromLinear(y / luminanceSteps) * 0x010101,
);

/** Turns colours into the grey of the same luminance in linear light, in place: that is how the eye weighs ink on paper. */
export function desaturate(pixels: Uint32Array): void {
  for (let i = 0; i < pixels.length; i++) {
    const pixel = pixels[i]!;
    if (((pixel ^ (pixel >>> 8)) & 0xffff) === 0) continue;
    const luminance = red[pixel & 0xff]! + green[(pixel >>> 8) & 0xff]! + blue[(pixel >>> 16) & 0xff]!;
    pixels[i] = greyWord[(luminance + 0.5) | 0]!;
  }
}

/** A difference of so much at most, in every channel, is shading; more is an edge. */
const maxShadingStep = 16;

/** Whether pixels that differ do so by shading. */
function isShading(one: number, other: number): boolean {
  for (let shift = 0; shift < 32; shift += 8) {
    if (Math.abs(((one >>> shift) & 0xff) - ((other >>> shift) & 0xff)) > maxShadingStep) return false;
  }
  return true;
}

/**
 * The share of pixels that differ a little from their left neighbour, in one row of `everyRows`: next to none in text and line
 * art, which are flat but for hard edges, many in photographs. Takes grey bytes and words alike.
 */
export function shadingShare(pixels: Uint8Array | Uint32Array, widthPx: number, everyRows: number): number {
  let shaded = 0;
  let seen = 0;
  for (let start = 0; start < pixels.length; start += widthPx * everyRows) {
    const end = Math.min(start + widthPx, pixels.length);
    for (let i = start + 1; i < end; i++) {
      const one = pixels[i - 1]!;
      const other = pixels[i]!;
      if (one !== other && isShading(one, other)) shaded++;
    }
    seen += end - start;
  }
  return seen === 0 ? 0 : shaded / seen;
}
