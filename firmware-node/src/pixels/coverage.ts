/**
 * From pixels to coverage: how much of the paper each ink shall cover.
 *
 * The engine is taken for ideal: a dot of cyan takes all red out of the paper white and leaves the rest, a dot of black takes
 * everything, and dots are seen averaged in linear light. A page's colour then comes back exactly when
 *
 *     black covers              K  = 1 − max(R, G, B)
 *     cyan of what it leaves    C′ = 1 − R ∕ max(R, G, B)      and M′, Y′ likewise with G, B
 *
 * R, G, B in linear light. (K is min(C, M, Y) of the plain coverages C = 1 − R …, and C′ = (C − K) ∕ (1 − K).) C′, M′ and Y′
 * are shares of the area that black leaves free: a halftoner lays no colour under black, and counts none there.
 *
 * Coverage is fixed point, 0 to `one`. A further value, `noInk`, says that a pixel asks for no ink at all of a group, and
 * belongs to the definition of every halftoner (floyd-steinberg.ts):
 * - a white pixel (255, 255, 255) is `noInk` in all planes: white stays free of dots;
 * - a neutral pixel (R = G = B) is `noInk` in cyan, magenta and yellow: grey and black are made of black alone.
 * So a grey band is exactly a colour band whose pixels are neutral, and a blank band one whose pixels are white.
 */

/** Full coverage: 4096. All coverages and errors fit 16 bits with room for the sums of error diffusion. */
export const oneBits = 12;
export const one = 1 << oneBits;

/** The pixel has no ink of this plane's group. */
export const noInk = -1;

/** sRGB (IEC 61966-2-1) as linear light, 0 to 65536. */
const linear = Int32Array.from({ length: 256 }, (_, value) => {
  const v = value / 255;
  return Math.round(65536 * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
});

/** Coverage that leaves so much of the light, 0 to 65536. */
const coverageOfLight = (light: number): number => one - ((light + 8) >> 4);

/** Black for a neutral pixel by its value. */
const blackOfGrey = Int16Array.from(linear, (light, value) =>
  value === 255 ? noInk : coverageOfLight(light),
);

/** Black for a coloured pixel by its largest channel. */
const blackOfMax = Int16Array.from(linear, coverageOfLight);

/** Cyan by (largest channel × 256 + red), and magenta and yellow likewise. */
const inkOfChannel = Int16Array.from({ length: 65536 }, (_, index) => {
  const light = linear[index & 255]!;
  const max = linear[index >> 8]!;
  return light >= max ? 0 : Math.round((one * (max - light)) / max);
});

/** Rec. 709 luminance weights in 1/16384, which is their sum: a neutral pixel's luminance is its own light, exactly. */
const weightRed = 3483;
const weightGreen = 11718;
const weightBlue = 1183;

/** Rows of coverage, `one` scaled, `width` entries each: black first, then cyan, magenta, yellow on a colour page. */
export type CoverageRows = readonly Int16Array[];

/** Planes in the order in which they are halftoned: black first, since colour looks at it. */
export const black = 0;

/** One row of grey, one byte a pixel from `offset` → black. */
export function greyToBlack(pixels: Uint8Array, offset: number, width: number, k: Int16Array): void {
  for (let x = 0; x < width; x++) k[x] = blackOfGrey[pixels[offset + x]!]!;
}

/** One row of sRGB, three bytes a pixel from `offset` → black by its luminance. */
export function colorToBlack(pixels: Uint8Array, offset: number, width: number, k: Int16Array): void {
  for (let x = 0, p = offset; x < width; x++, p += 3) {
    const r = pixels[p]!;
    const g = pixels[p + 1]!;
    const b = pixels[p + 2]!;
    const sum = weightRed * linear[r]! + weightGreen * linear[g]! + weightBlue * linear[b]!;
    k[x] = (r & g & b) === 255 ? noInk : coverageOfLight(sum >> 14);
  }
}

/** One row of sRGB, three bytes a pixel from `offset` → black, cyan, magenta, yellow. */
export function colorToInks(pixels: Uint8Array, offset: number, width: number, rows: CoverageRows): void {
  const k = rows[0]!;
  const c = rows[1]!;
  const m = rows[2]!;
  const y = rows[3]!;
  for (let x = 0, p = offset; x < width; x++, p += 3) {
    const r = pixels[p]!;
    const g = pixels[p + 1]!;
    const b = pixels[p + 2]!;
    if (r === g && g === b) {
      k[x] = blackOfGrey[r]!;
      c[x] = noInk;
      m[x] = noInk;
      y[x] = noInk;
      continue;
    }
    const max = r > g ? (r > b ? r : b) : g > b ? g : b;
    k[x] = blackOfMax[max]!;
    c[x] = inkOfChannel[(max << 8) | r]!;
    m[x] = inkOfChannel[(max << 8) | g]!;
    y[x] = inkOfChannel[(max << 8) | b]!;
  }
}
