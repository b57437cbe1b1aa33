/**
 * Draws docs/demo.png from what the demo prints: its four sheets, and the dots of a place on the third one. Run it after a change of
 * the sample or of the pixels: `node samples/make-picture.ts`.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createCanvas, loadImage } from "@napi-rs/canvas";
import sharp from "sharp";
import { grey, line, registerFonts } from "./welcome/typeset.ts";

const colorants = ["cyan", "magenta", "yellow", "black"] as const;
const sheets = 4;

const widthPx = 1200;
const gapPx = 16;
const captionPx = 26;
/** Of a sheet, A4. */
const sheetPx = { width: (widthPx - (sheets + 1) * gapPx) / sheets, height: 406 };
/** Three squares beside each other. */
const tilePx = 376;
const zoom = 8;
/** The middle of what is shown of the third sheet, at 600 dpi: the rim of the cup on the photo. */
const place = { x: 2268, y: 1262 };

/** Prints the sample, and returns the folder with its sheets. */
async function printDemo(out: string): Promise<string> {
  const main = fileURLToPath(new URL("../backend/src/main.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [main, "demo", "--json", "--out", out]);
  const ended = JSON.parse(stdout.trim().split("\n").at(-1)!) as { jobId: string };
  return join(out, ended.jobId);
}

const sheetFile = (folder: string, sheet: number, colorant?: string): string =>
  join(folder, `sheet-000${sheet}-front${colorant ? `-${colorant}` : ""}.png`);

/** A square of planes of the third sheet, in the colours of their inks, as they fall on one another; each dot `scale` pixels. */
async function dots(
  folder: string,
  shown: readonly (typeof colorants)[number][],
  sizePx: number,
  scale: number,
): Promise<Buffer> {
  const crop = sizePx / scale;
  const before = Math.floor(crop / 2);
  const region = { left: place.x - before, top: place.y - before, width: crop, height: crop };
  const planes = await Promise.all(
    shown.map((colorant) =>
      sharp(sheetFile(folder, 3, colorant))
        .extract(region)
        .toColourspace("srgb")
        .removeAlpha()
        .png()
        .toBuffer(),
    ),
  );
  const [first, ...others] = planes;
  const ink = await sharp(first)
    .composite(others.map((input) => ({ input, blend: "multiply" as const })))
    .png()
    .toBuffer();
  return await sharp(ink).resize(sizePx, sizePx, { kernel: "nearest" }).png().toBuffer();
}

async function draw(folder: string): Promise<Buffer> {
  registerFonts();
  const dotsTop = gapPx + sheetPx.height + gapPx;
  const canvas = createCanvas(widthPx, dotsTop + tilePx + captionPx + 4);
  const page = canvas.getContext("2d");
  page.fillStyle = "#e9edf2";
  page.fillRect(0, 0, canvas.width, canvas.height);
  const put = async (png: Buffer, x: number, y: number) => page.drawImage(await loadImage(png), x, y);

  for (let sheet = 1; sheet <= sheets; sheet++) {
    const preview = await sharp(sheetFile(folder, sheet))
      .resize(sheetPx.width, sheetPx.height, { fit: "fill" })
      .png()
      .toBuffer();
    await put(preview, gapPx + (sheet - 1) * (sheetPx.width + gapPx), gapPx);
  }

  const tileGapPx = (widthPx - 2 * gapPx - 3 * tilePx) / 2;
  const lefts = [0, 1, 2].map((column) => gapPx + column * (tilePx + tileGapPx));
  const [wide, near, planes] = lefts as [number, number, number];
  await put(await dots(folder, colorants, tilePx, 1), wide, dotsTop);
  await put(await dots(folder, colorants, tilePx, zoom), near, dotsTop);
  const quarterPx = tilePx / 2;
  for (const [index, colorant] of colorants.entries()) {
    const [x, y] = [planes + (index % 2) * quarterPx, dotsTop + Math.floor(index / 2) * quarterPx];
    await put(await dots(folder, [colorant], quarterPx, zoom / 2), x, y);
  }
  page.strokeStyle = "#0057ff";
  page.lineWidth = 4;
  const framePx = tilePx / zoom;
  const before = tilePx / 2 - Math.floor(framePx / 2);
  page.strokeRect(wide + before, dotsTop + before, framePx, framePx);
  page.fillStyle = "#ffffff";
  page.fillRect(planes + quarterPx - 1, dotsTop, 2, tilePx);
  page.fillRect(planes, dotsTop + quarterPx - 1, tilePx, 2);

  const captions = [
    "16 mm of sheet 3, dot for dot",
    `its middle, ${zoom} times as large`,
    "the four planes of the middle",
  ];
  for (const [index, caption] of captions.entries()) {
    const style = { sizePt: 15, color: grey.dark, align: "center" } as const;
    line(page, caption, lefts[index]! + tilePx / 2, dotsTop + tilePx + 20, style);
  }
  return canvas.toBuffer("image/png");
}

const folder = await mkdtemp(join(tmpdir(), "platen-picture-"));
try {
  const picture = sharp(await draw(await printDemo(folder)));
  // Few colours make a small file, and planes have few.
  await picture
    .png({ palette: true, colours: 96, effort: 10 })
    .toFile(fileURLToPath(new URL("../docs/demo.png", import.meta.url)));
} finally {
  await rm(folder, { recursive: true, force: true });
}
