/** `npm run bench -- kernel quality`: halftones beside each other, by the measures of measures.ts, and as a picture. */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { contactSheet, type Photo } from "./contact-sheet.ts";
import { available, type Halftone, halftoned } from "./halftones.ts";
import { imageMeasure, type PatchFigures, patchFigures, startUp } from "./measures.ts";
import { type Inked, openPress, type Press } from "./press.ts";
import { observer, pixelsPerDegree } from "./vision.ts";

const sidePx = 512;
const eye = observer(sidePx, pixelsPerDegree(600, 30));
/** The weights were found on the first set and checked on the second. */
const imageSets = [
  ["coffee.png", "astronaut.png", "raccoon-face-1024x768.jpg", "china.jpg", "cups-testfile.jpg"],
  ["chelsea.png", "flower.jpg", "cups-color.jpg", "retina.jpg", "hubble_deep_field.jpg"],
];
const patchShares = [0.01, 0.02, 0.05, 0.1, 0.33, 0.5, 0.66, 0.95];
/** Whose first rows are measured. */
const lightShare = 0.01;
const black = 3;
const cyan = 0;

const pressProfile = new URL("../../firmware-node/profiles/FOGRA39L.icc", import.meta.url);

/** Continuous tone of a photo's middle, one pixel a dot. */
async function planesOf(file: string, press: Press): Promise<Inked> {
  const rgb = await sharp(file)
    .resize(sidePx, sidePx, { fit: "cover" })
    .removeAlpha()
    .toColourspace("srgb")
    .raw()
    .toBuffer();
  return press.separate(rgb, sidePx);
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function table(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  return `${title}\n\n${line(columns)}|${"---|".repeat(columns.length)}\n${rows.map(line).join("")}`;
}

async function imageTable(
  title: string,
  images: readonly Inked[],
  press: Press,
  halftones: ReadonlyMap<string, Halftone>,
): Promise<string> {
  const measures = images.map((image) => imageMeasure(image, press, eye));
  const rows = [];
  for (const [name, halftone] of halftones) {
    const seen = [];
    for (const [i, image] of images.entries()) seen.push(measures[i]!(await halftoned(image, halftone)));
    rows.push([
      name,
      mean(seen.map(({ scielab }) => scielab)).toFixed(2),
      mean(seen.map(({ luminanceWsnrDb }) => luminanceWsnrDb)).toFixed(1),
      mean(seen.map(({ blackWsnrDb }) => blackWsnrDb)).toFixed(1),
    ]);
  }
  return table(title, ["halftone", "S-CIELAB ΔE", "luminance WSNR dB", "black WSNR dB"], rows);
}

async function patchTable(title: string, halftones: ReadonlyMap<string, Halftone>): Promise<string> {
  const figures = async (halftone: Halftone, plane: number): Promise<PatchFigures[]> => {
    const patches = [];
    for (const share of patchShares) {
      const dots = await halftone(new Float64Array(sidePx * sidePx).fill(share), sidePx, plane);
      patches.push(patchFigures(share, dots, eye));
    }
    return patches;
  };
  const rows = [];
  for (const [name, halftone] of halftones) {
    const [ofBlack, ofCyan] = [await figures(halftone, black), await figures(halftone, cyan)];
    const row = [name];
    for (const patches of [ofBlack, ofCyan]) {
      row.push(
        mean(patches.map(({ grain }) => grain)).toFixed(2),
        mean(patches.map(({ anisotropyDb }) => anisotropyDb)).toFixed(1),
      );
    }
    const light = await halftone(new Float64Array(sidePx * sidePx).fill(lightShare), sidePx, black);
    rows.push([
      ...row,
      startUp(lightShare, light, sidePx).toFixed(2),
      (100 * mean(ofBlack.map(({ coverageError }) => coverageError))).toFixed(3),
    ]);
  }
  const columns = [
    "grain L*, black",
    "anisotropy dB, black",
    "grain, cyan",
    "anisotropy, cyan",
    "first rows of 1 %",
    "coverage error %",
  ];
  return table(title, ["halftone", ...columns], rows);
}

export async function quality(imageFolder: string, sheetFile: string): Promise<void> {
  const halftones = await available();
  const press = await openPress(await readFile(pressProfile));
  console.log("600 dpi seen from 30 cm, inks of FOGRA39\n");
  let photo: Photo | undefined;
  for (const [i, set] of imageSets.entries()) {
    const files = set.map((file) => join(imageFolder, file)).filter((file) => existsSync(file));
    if (files.length === 0) {
      console.log(`no images of set ${i + 1} in ${imageFolder}: what is measured on images is left out\n`);
      continue;
    }
    const images = [];
    for (const file of files) images.push(await planesOf(file, press));
    const shown = images[files.findIndex((file) => file.endsWith("astronaut.png"))];
    if (shown) photo = { image: shown, press, halftoned: (halftone) => halftoned(shown, halftone) };
    console.log(
      await imageTable(`${files.length} photos of ${sidePx}², set ${i + 1}`, images, press, halftones),
    );
  }
  console.log(await patchTable(`${patchShares.length} flat patches, of ideal black dots`, halftones));
  await writeFile(sheetFile, await contactSheet(halftones, photo));
  console.log(`contact sheet: ${sheetFile}`);
}
