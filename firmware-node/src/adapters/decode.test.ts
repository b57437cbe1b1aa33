import { BandContent, BandEncoding } from "@platen/proto";
import sharp from "sharp";
import { expect, test } from "vitest";
import { encodeBand } from "../testing/pages.ts";
import { sharpDecoder } from "./decode.ts";

const pixels = (count: number) => Uint8Array.from({ length: count }, (_, i) => (i * 37) % 256);

test("S1407: a PNG's pixels come out as they went in, grey with one channel and colour with three", async () => {
  for (const [content, channels] of [
    ["grey", 1],
    ["color", 3],
  ] as const) {
    const expected = pixels(33 * 5 * channels);
    const band = await encodeBand(40, content, expected, 33, 5);
    expect(await sharpDecoder.decode(band, 33)).toEqual(Buffer.from(expected));
  }
});

test("a JPEG's grey and colour come out within what JPEG loses, black and white exactly", async () => {
  const page = await encodeBand(0, "grey", pixels(8), 8, 1);
  for (const [content, channels, space] of [
    ["grey", 1, "b-w"],
    ["color", 3, "srgb"],
  ] as const) {
    const half = 64 * 32 * channels;
    const expected = new Uint8Array(half * 2).fill(255, half);
    const data = await sharp(expected, { raw: { width: 64, height: 64, channels } })
      .toColourspace(space)
      .jpeg({ quality: 90, chromaSubsampling: "4:4:4" })
      .toBuffer();
    const band = {
      ...page,
      rowsPx: 64,
      content: content === "grey" ? BandContent.GREY : BandContent.COLOR,
      encoding: BandEncoding.JPEG,
      data,
    };
    expect(await sharpDecoder.decode(band, 64)).toEqual(Buffer.from(expected));
  }
});

test("a profile inside changes nothing: pages are sRGB", async () => {
  const expected = pixels(16 * 4 * 3);
  const band = await encodeBand(0, "color", expected, 16, 4);
  const data = await sharp(band.data).withIccProfile("p3").png().toBuffer();
  const plain = await sharp(data, { ignoreIcc: true }).raw().toBuffer();
  expect(await sharpDecoder.decode({ ...band, data }, 16)).toEqual(plain);
});
