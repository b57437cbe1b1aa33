/** Pages as the backend makes them: known pixels, cut into bands of each content. */
import { create } from "@bufbuild/protobuf";
import { type Band, BandContent, BandEncoding, BandSchema, encodeSizeDelimited } from "@platen/proto";
import sharp from "sharp";

/** A page as the result store serves it. */
export interface ServedPage {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly bands: readonly Band[];
}

export interface TestPage extends ServedPage {
  /** The page's pixels, sRGB. */
  readonly rgb: Uint8Array;
}

/** The page's bytes as they travel. */
export const bodyOf = (bands: readonly Band[]): Uint8Array =>
  Buffer.concat(bands.map((band) => encodeSizeDelimited(BandSchema, band)));

export async function encodeBand(
  yPx: number,
  content: "grey" | "color",
  pixels: Uint8Array,
  widthPx: number,
  rowsPx: number,
): Promise<Band> {
  const channels = content === "grey" ? 1 : 3;
  const image = sharp(pixels, { raw: { width: widthPx, height: rowsPx, channels } });
  const data = await image
    .toColourspace(content === "grey" ? "b-w" : "srgb")
    .png()
    .toBuffer();
  return create(BandSchema, {
    yPx,
    rowsPx,
    content: content === "grey" ? BandContent.GREY : BandContent.COLOR,
    encoding: BandEncoding.PNG,
    data,
  });
}

/** A page of a blank band, a grey one and a coloured one of `rowsPx` rows each, different for each `seed`. */
export async function makePage(seed: number, widthPx = 61, rowsPx = 8): Promise<TestPage> {
  const count = widthPx * rowsPx;
  const grey = Uint8Array.from({ length: count }, (_, i) => (i * 3 + seed * 41) % 256);
  const color = Uint8Array.from({ length: count * 3 }, (_, i) => (i * 5 + seed * 67 + (i % 3) * 80) % 256);
  const greyRgb = Uint8Array.from({ length: count * 3 }, (_, i) => grey[Math.floor(i / 3)]!);
  return {
    widthPx,
    heightPx: rowsPx * 3,
    rgb: Buffer.concat([new Uint8Array(count * 3).fill(255), greyRgb, color]),
    bands: [
      create(BandSchema, { yPx: 0, rowsPx, content: BandContent.BLANK }),
      await encodeBand(rowsPx, "grey", grey, widthPx, rowsPx),
      await encodeBand(rowsPx * 2, "color", color, widthPx, rowsPx),
    ],
  };
}
