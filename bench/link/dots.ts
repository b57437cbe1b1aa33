/** Pages as dots: what the controller's kernel makes of a text page and of a photo. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import type { Colorant } from "../../hw/protocol/index.ts";
import { idealInks } from "../../firmware-node/src/pixels/ink-table.ts";
import { localKernel } from "../../firmware-node/src/testing/local-kernel.ts";
import { type Page, photoPage, textPage } from "../kernel/pages.ts";

export interface DotPage {
  readonly name: string;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly strideBytes: number;
  /** One bit a dot, most significant bit left, 1 = ink. */
  readonly planes: readonly { readonly colorant: Colorant; readonly bits: Uint8Array }[];
}

const bandRows = 64;

async function dotsOf(page: Page): Promise<DotPage> {
  const { name, widthPx, heightPx } = page;
  const pixels = await sharp(page.jpeg).removeAlpha().raw().toBuffer();
  const halftoner = localKernel(idealInks()).halftoner("shiau-fan", widthPx, "cmyk");
  const { strideBytes } = halftoner;
  const planes = (["cyan", "magenta", "yellow", "black"] as const).map((colorant) => ({
    colorant,
    bits: new Uint8Array(strideBytes * heightPx),
  }));
  for (let y = 0; y < heightPx; y += bandRows) {
    const rows = Math.min(bandRows, heightPx - y);
    const part = pixels.subarray(y * widthPx * 3, (y + rows) * widthPx * 3);
    for (const { colorant, bits } of halftoner.band("color", part, rows))
      planes.find((plane) => plane.colorant === colorant)!.bits.set(bits, y * strideBytes);
  }
  return { name, widthPx, heightPx, strideBytes, planes };
}

export const textDots = async (): Promise<DotPage> => dotsOf(await textPage());

/** Undefined when the image is not there. */
export async function photoDots(folder: string): Promise<DotPage | undefined> {
  const file = join(folder, "derived-a4-600dpi-photo.jpg");
  if (existsSync(file)) return dotsOf(await photoPage(file));
  console.log(`no photo at ${file}: left out`);
  return undefined;
}
