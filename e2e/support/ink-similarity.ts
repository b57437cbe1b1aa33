/**
 * How like two renderings of a page are, where there is ink.
 *
 * Structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004) of a whole page is no judge: paper is alike everywhere, and
 * a blank page passes for most pages of text. So the mean is taken over inked pixels only, dark in either picture, and at 50 dpi,
 * where hinting and the placement of a hairline do not count. A right rendering reaches 0.7; a blank one, as a rule, does not.
 */
import sharp from "sharp";

/** What sharp takes: a path or an encoded image. */
export type Picture = string | Buffer;

/** At or above this, a pixel is paper. */
const paper = 245;

/** Pixels around one that are compared with those around the other, across. */
const windowPx = 7;

/** Wang et al.: they keep quotients of small numbers stable. */
const c1 = (0.01 * 255) ** 2;
const c2 = (0.03 * 255) ** 2;

async function greyPixels(picture: Picture, width: number, height: number): Promise<Uint8Array> {
  const image = sharp(picture, { limitInputPixels: false }).flatten({ background: "#ffffff" });
  return image.greyscale().resize(width, height, { fit: "fill", kernel: "linear" }).raw().toBuffer();
}

/** Sums over all rectangles from the origin, one row and one column larger than the image. */
function integral(width: number, height: number, value: (i: number) => number): Float64Array {
  const sums = new Float64Array((width + 1) * (height + 1));
  for (let y = 0; y < height; y++) {
    let row = 0;
    for (let x = 0; x < width; x++) {
      row += value(y * width + x);
      sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1]! + row;
    }
  }
  return sums;
}

/** Mean structural similarity over inked pixels of two grey images of one size; 1 when neither has ink. */
export function inkSsim(one: Uint8Array, other: Uint8Array, width: number, height: number): number {
  const moments = [
    (i: number) => one[i]!,
    (i: number) => other[i]!,
    (i: number) => one[i]! ** 2,
    (i: number) => other[i]! ** 2,
    (i: number) => one[i]! * other[i]!,
  ].map((value) => integral(width, height, value));
  const half = windowPx >> 1;
  let total = 0;
  let inked = 0;
  for (let y = 0; y < height; y++) {
    const top = Math.max(0, y - half) * (width + 1);
    const bottom = Math.min(height, y + half + 1) * (width + 1);
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      if (one[i]! >= paper && other[i]! >= paper) continue;
      const left = Math.max(0, x - half);
      const right = Math.min(width, x + half + 1);
      const area = ((bottom - top) / (width + 1)) * (right - left);
      const [a, b, aa, bb, ab] = moments.map(
        (sums) =>
          (sums[bottom + right]! - sums[bottom + left]! - sums[top + right]! + sums[top + left]!) / area,
      ) as [number, number, number, number, number];
      const luminance = (2 * a * b + c1) / (a * a + b * b + c1);
      const structure = (2 * (ab - a * b) + c2) / (aa - a * a + (bb - b * b) + c2);
      total += luminance * structure;
      inked++;
    }
  }
  return inked === 0 ? 1 : total / inked;
}

/** How like a rendering is to a reference at 100 dpi, -1 to 1; both are brought to half the reference's size. */
export async function inkSimilarity(rendering: Picture, reference: Picture): Promise<number> {
  const { width, height } = await sharp(reference).metadata();
  const half = [Math.max(1, Math.round(width / 2)), Math.max(1, Math.round(height / 2))] as const;
  const [one, other] = await Promise.all([greyPixels(rendering, ...half), greyPixels(reference, ...half)]);
  return inkSsim(one, other, ...half);
}
