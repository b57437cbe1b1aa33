import { BandEncoding } from "@platen/proto";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { encodeColor, encodeGrey } from "./encode.ts";

const widthPx = 64;
const rowsPx = 32;
const count = widthPx * rowsPx;

/** Hard edges on white. */
const text = Uint8Array.from({ length: count }, (_, i) => (i % 7 === 0 ? 0 : 255));
/** Shades that change from pixel to pixel. */
const photo = Uint8Array.from({ length: count }, (_, i) => 128 + Math.round(100 * Math.sin(i / 9)));
const red = (value: number): number => 0xff000000 + value;

describe("encodeGrey", () => {
  it("keeps text as it is, as PNG of one channel", async () => {
    const { encoding, data } = await encodeGrey(text, widthPx, rowsPx, 85);
    expect(encoding).toBe(BandEncoding.PNG);
    expect(await sharp(data).metadata()).toMatchObject({ format: "png", channels: 1, depth: "uchar" });
    expect(await sharp(data).toColourspace("b-w").raw().toBuffer()).toEqual(Buffer.from(text));
  });

  it("makes a JPEG of one channel of shades", async () => {
    const { encoding, data } = await encodeGrey(photo, widthPx, rowsPx, 85);
    expect(encoding).toBe(BandEncoding.JPEG);
    expect(await sharp(data).metadata()).toMatchObject({
      format: "jpeg",
      channels: 1,
      isProgressive: false,
      width: widthPx,
      height: rowsPx,
    });
  });
});

describe("encodeColor", () => {
  it("keeps line art as it is, as PNG of three channels", async () => {
    const { encoding, data } = await encodeColor(Uint32Array.from(text, red), widthPx, rowsPx, 85);
    expect(encoding).toBe(BandEncoding.PNG);
    expect(await sharp(data).metadata()).toMatchObject({ format: "png", channels: 3 });
    const bytes = await sharp(data).raw().toBuffer();
    expect([...bytes.subarray(0, 6)]).toEqual([0, 0, 0, 255, 0, 0]);
  });

  it("makes a baseline JPEG without chroma subsampling of photographs, the larger the better the quality", async () => {
    const pixels = Uint32Array.from(photo, (v) => 0xff000000 + v * 0x000100 + (255 - v));
    const sizes: number[] = [];
    for (const quality of [70, 85, 95]) {
      const { encoding, data } = await encodeColor(pixels, widthPx, rowsPx, quality);
      expect(encoding).toBe(BandEncoding.JPEG);
      expect(await sharp(data).metadata()).toMatchObject({
        channels: 3,
        chromaSubsampling: "4:4:4",
        isProgressive: false,
      });
      sizes.push(data.length);
    }
    expect(sizes).toEqual([...sizes].sort((one, other) => one - other));
    expect(new Set(sizes).size).toBe(3);
  });
});
