/** A picture of what halftones make of flat tints and of a photo, enlarged. */
import sharp, { type OverlayOptions } from "sharp";
import type { Halftone } from "./halftones.ts";
import type { Inked, Light, Press } from "./press.ts";

const tints = [0.01, 0.02, 0.05, 0.1, 0.33, 0.5, 0.66, 0.95];
const sidePx = 256;
/** Dots shown of each patch, from its top edge on. */
const patchDots = 64;
const photoDots = 128;
/** Where the photo's part begins. */
const [photoLeft, photoTop] = [150, 50];
const dotPx = 3;
const gapPx = 6;
const labelPx = 18;
const patchPx = patchDots * dotPx + gapPx;
const photoPx = photoDots * dotPx + gapPx;
const photosAcross = 4;
const width = tints.length * patchPx + gapPx;

const planeNames = ["cyan", "magenta", "yellow", "black"];

/** A photo's continuous tone, and on what press its dots lie. */
export interface Photo {
  readonly image: Inked;
  readonly press: Press;
  readonly halftoned: (halftone: Halftone) => Promise<Inked>;
}

/** X, Y and Z over the paper's → linear sRGB. */
const rgbOfLight = [
  [3.0801, -1.5372, -0.5429],
  [-0.9211, 1.8758, 0.0453],
  [0.0528, -0.204, 1.1511],
];

const byteOfLinear = (light: number): number => {
  const v = Math.min(1, Math.max(0, light));
  return Math.round(255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055));
};

/** `cropDots`² dots from (left, top) on, sRGB, `dotPx` pixels each. */
async function enlarged(light: Light, left: number, top: number, cropDots: number): Promise<Buffer> {
  const pixels = new Uint8Array(cropDots * cropDots * 3);
  for (let i = 0; i < cropDots * cropDots; i++) {
    const at = (top + Math.floor(i / cropDots)) * light.side + left + (i % cropDots);
    for (const [channel, row] of rgbOfLight.entries()) {
      const linear = row.reduce((sum, weight, k) => sum + weight * light.xyz[k]![at]!, 0);
      pixels[i * 3 + channel] = byteOfLinear(linear);
    }
  }
  return sharp(pixels, { raw: { width: cropDots, height: cropDots, channels: 3 } })
    .resize(cropDots * dotPx, cropDots * dotPx, { kernel: "nearest" })
    .png()
    .toBuffer();
}

class Sheet {
  readonly #parts: OverlayOptions[] = [];
  readonly #labels: string[] = [];
  height = labelPx;

  label(x: number, y: number, text: string): void {
    this.#labels.push(`<text x="${x}" y="${y}" font-family="sans-serif" font-size="13">${text}</text>`);
  }

  picture(left: number, top: number, input: Buffer): void {
    this.#parts.push({ input, left, top });
  }

  png(): Promise<Buffer> {
    const text = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${this.height}">${this.#labels.join("")}</svg>`;
    return sharp({ create: { width, height: this.height, channels: 3, background: "white" } })
      .composite([...this.#parts, { input: Buffer.from(text), left: 0, top: 0 }])
      .png({ palette: true, colours: 256, dither: 0, compressionLevel: 9, effort: 10 })
      .toBuffer();
  }
}

async function tintRow(sheet: Sheet, name: string, halftone: Halftone, plane: number): Promise<void> {
  sheet.label(gapPx, sheet.height + labelPx - 4, name);
  for (const [column, tint] of tints.entries()) {
    const dots = await halftone(new Float64Array(sidePx * sidePx).fill(tint), sidePx, plane);
    const paper = dots.map((dot) => 1 - dot);
    const patch = await enlarged({ side: sidePx, xyz: [paper, paper, paper] }, sidePx / 2, 0, patchDots);
    sheet.picture(column * patchPx + gapPx, sheet.height + labelPx, patch);
  }
  sheet.height += labelPx + patchPx;
}

async function photoRows(
  sheet: Sheet,
  photo: Photo,
  halftones: ReadonlyMap<string, Halftone>,
): Promise<void> {
  const pictures: [string, Inked][] = [["continuous tone", photo.image]];
  for (const [name, halftone] of halftones) pictures.push([name, await photo.halftoned(halftone)]);
  for (const [i, [name, image]] of pictures.entries()) {
    const left = (i % photosAcross) * photoPx + gapPx;
    sheet.label(left, sheet.height + labelPx - 4, name);
    const crop = await enlarged(photo.press.light(image), photoLeft, photoTop, photoDots);
    sheet.picture(left, sheet.height + labelPx, crop);
    if (i % photosAcross === photosAcross - 1 || i === pictures.length - 1) sheet.height += labelPx + photoPx;
  }
}

/** All planes of the first halftone, black of the others, and a photo's dots by each. Returns a PNG. */
export async function contactSheet(halftones: ReadonlyMap<string, Halftone>, photo?: Photo): Promise<Buffer> {
  const sheet = new Sheet();
  for (const [column, tint] of tints.entries())
    sheet.label(column * patchPx + gapPx, labelPx - 4, `${tint * 100} %`);
  for (const [i, [name, halftone]] of [...halftones].entries()) {
    for (const plane of i === 0 ? [3, 0, 1, 2] : [3])
      await tintRow(sheet, `${name}, ${planeNames[plane]}`, halftone, plane);
  }
  if (photo) await photoRows(sheet, photo, halftones);
  return sheet.png();
}
