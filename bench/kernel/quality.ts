/** `npm run bench -- kernel quality`: halftones beside each other, by the measures of measures.ts, and as a picture. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { linearOfSrgb } from "../../firmware-node/src/pixels/ink-table.ts";
import { contactSheet } from "./contact-sheet.ts";
import { available, type Halftone } from "./halftones.ts";
import { imageFigures, patchFigures } from "./measures.ts";
import { type Inked, pixelsPerDegree } from "./vision.ts";

const sidePx = 512;
const perDegree = pixelsPerDegree(600, 30);
const imageFiles = [
  "coffee.png",
  "astronaut.png",
  "raccoon-face-1024x768.jpg",
  "china.jpg",
  "cups-testfile.jpg",
];
const patchShares = [0.02, 0.05, 0.1, 0.2, 0.33, 0.45, 0.66, 0.8, 0.95];

/** A photo as coverage of an ideal engine's inks: see ink-table.ts. */
async function inked(file: string): Promise<Inked> {
  const rgb = await sharp(file)
    .resize(sidePx, sidePx, { fit: "cover" })
    .removeAlpha()
    .toColourspace("srgb")
    .raw()
    .toBuffer();
  const planes = Array.from({ length: 4 }, () => new Float64Array(sidePx * sidePx));
  for (let i = 0; i < sidePx * sidePx; i++) {
    const light = [0, 1, 2].map((channel) => linearOfSrgb(rgb[i * 3 + channel]! / 255));
    const most = Math.max(...light);
    planes[3]![i] = 1 - most;
    for (const [ink, own] of light.entries()) planes[ink]![i] = most === 0 ? 0 : 1 - own / most;
  }
  return { side: sidePx, planes };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

async function figuresOf(halftone: Halftone, images: readonly Inked[]): Promise<string[]> {
  const seen = [];
  for (const image of images) {
    const planes = await Promise.all(image.planes.map((plane, i) => halftone(plane, sidePx, i)));
    seen.push(imageFigures(image, { side: sidePx, planes }, perDegree));
  }
  const patches = [];
  for (const share of patchShares) {
    const dots = await halftone(new Float64Array(sidePx * sidePx).fill(share), sidePx, 3);
    patches.push(patchFigures(share, dots, sidePx, perDegree));
  }
  return [
    mean(seen.map(({ scielab }) => scielab)).toFixed(2),
    mean(seen.map(({ luminanceWsnrDb }) => luminanceWsnrDb)).toFixed(1),
    mean(seen.map(({ blackWsnrDb }) => blackWsnrDb)).toFixed(1),
    mean(patches.map(({ grain }) => grain)).toFixed(2),
    mean(patches.map(({ anisotropyDb }) => anisotropyDb)).toFixed(1),
    (100 * mean(patches.map(({ coverageError }) => coverageError))).toFixed(3),
  ];
}

export async function quality(imageFolder: string, sheetFile: string): Promise<void> {
  const halftones = await available();
  const files = imageFiles.map((file) => join(imageFolder, file)).filter((file) => existsSync(file));
  if (files.length === 0) console.log(`no images in ${imageFolder}: the measures of images are left out`);
  const images = [];
  for (const file of files) images.push(await inked(file));
  console.log(
    `${files.length} images of ${sidePx}² and ${patchShares.length} flat patches of black, 600 dpi at 30 cm\n` +
      "| halftone | S-CIELAB ΔE | luminance WSNR dB | black WSNR dB | grain L* | anisotropy dB | coverage error % |\n" +
      "|---|---|---|---|---|---|---|",
  );
  for (const [name, halftone] of halftones) {
    console.log(`| ${[name, ...(await figuresOf(halftone, images))].join(" | ")} |`);
  }
  await writeFile(sheetFile, await contactSheet(halftones));
  console.log(`\ncontact sheet: ${sheetFile}`);
}
