/** For tests: what a converted page looks like. */
import { createReadStream } from "node:fs";
import { type Band, BandContent, BandSchema, decodeSizeDelimited } from "@platen/proto";
import sharp from "sharp";
import type { ConvertedPage, Impression } from "../ports/converter.ts";

const maxBandBytes = 16 * 1024 * 1024;

export const readBands = async ({ path }: Pick<ConvertedPage, "path">): Promise<Band[]> => {
  const bands: Band[] = [];
  for await (const band of decodeSizeDelimited(BandSchema, createReadStream(path), maxBandBytes))
    bands.push(band);
  return bands;
};

/** RGB, three bytes a pixel. */
export interface Picture {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly rgb: Buffer;
  /** The pixel as 0xRRGGBB. */
  at(x: number, y: number): number;
}

/** Decodes and joins the bands of a page, and checks that they cover it from top to bottom without gap or overlap. */
export async function pictureOf(page: ConvertedPage, { widthPx, heightPx }: Impression): Promise<Picture> {
  const rgb = Buffer.alloc(widthPx * heightPx * 3, 0xff);
  let y = 0;
  for (const band of await readBands(page)) {
    if (band.yPx !== y) throw new Error(`a band begins at ${band.yPx}, not ${y}`);
    y += band.rowsPx;
    if (band.content === BandContent.BLANK) continue;
    const channels = band.content === BandContent.GREY ? 1 : 3;
    const { data, info } = await sharp(band.data)
      .toColourspace(channels === 1 ? "b-w" : "srgb")
      .raw()
      .toBuffer({ resolveWithObject: true });
    if (info.width !== widthPx || info.height !== band.rowsPx || info.channels !== channels) {
      throw new Error(
        `a band of ${info.width}x${info.height}x${info.channels}, not ${widthPx}x${band.rowsPx}x${channels}`,
      );
    }
    const start = band.yPx * widthPx * 3;
    if (channels === 3) data.copy(rgb, start);
    else for (let i = 0; i < data.length; i++) rgb.fill(data[i]!, start + i * 3, start + i * 3 + 3);
  }
  if (y !== heightPx) throw new Error(`the bands end at ${y}, not ${heightPx}`);
  return {
    widthPx,
    heightPx,
    rgb,
    at: (px, py) => rgb.readUIntBE((py * widthPx + px) * 3, 3),
  };
}

export const pngOf = ({ widthPx, heightPx, rgb }: Picture): Promise<Buffer> =>
  sharp(rgb, { raw: { width: widthPx, height: heightPx, channels: 3 } })
    .png()
    .toBuffer();
