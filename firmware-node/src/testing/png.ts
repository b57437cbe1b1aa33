/** Reads back what the PNG sink wrote. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import type { Dots } from "./dots.ts";

/** One plane as hexadecimal: a dot is what is not white. */
export async function readPlane(path: string): Promise<string> {
  const { data, info } = await sharp(path).toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
  const stride = Math.ceil(info.width / 8);
  const bits = new Uint8Array(stride * info.height);
  for (let y = 0; y < info.height; y++) {
    for (let x = 0; x < info.width; x++) {
      const at = (y * info.width + x) * info.channels;
      const white = data[at] === 255 && data[at + 1] === 255 && data[at + 2] === 255;
      if (!white) bits[y * stride + (x >> 3)]! |= 128 >> (x & 7);
    }
  }
  return Buffer.from(bits).toString("hex");
}

/** The planes of a sheet's sides; undefined when it is not there. */
export async function readSheet(
  folder: string,
  sheetNumber: number,
): Promise<Record<string, Dots> | undefined> {
  const pattern = new RegExp(`^sheet-${String(sheetNumber).padStart(4, "0")}-(front|back)-(\\w+)\\.png$`);
  const sides: Record<string, Record<string, string>> = {};
  for (const name of await readdir(folder).catch(() => [])) {
    const [, side, colorant] = pattern.exec(name) ?? [];
    if (side && colorant) (sides[side] ??= {})[colorant] = await readPlane(join(folder, name));
  }
  return Object.keys(sides).length ? sides : undefined;
}
