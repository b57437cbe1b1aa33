import { PrintColorMode } from "@platen/proto";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type ConvertOptions,
  cornersOf,
  hex,
  never,
  settings,
  TestConverter,
  type TicketInit,
  upright,
} from "./test-converter.ts";
import { ownColors } from "./worker/own-colors.ts";

let made: TestConverter;
beforeAll(async () => {
  made = await TestConverter.open();
});
afterAll(() => made[Symbol.asyncDispose]());

describe("images", () => {
  /** 40 × 80 pixels: red, green, blue and black quarters, row by row. */
  const quarters = (width = 40, height = 80) => {
    const rgb = Buffer.alloc(width * height * 3);
    const colors = [0xff0000, 0x00ff00, 0x0000ff, 0x000000];
    for (let i = 0; i < width * height; i++) {
      const quarter = (Math.floor(i / width) < height / 2 ? 0 : 2) + (i % width < width / 2 ? 0 : 1);
      rgb.writeUIntBE(colors[quarter]!, i * 3, 3);
    }
    return sharp(rgb, { raw: { width, height, channels: 3 } });
  };
  /** Nearest of the eight corners of the colour cube: JPEG is not exact. */
  const rough = (colors: readonly string[]): string[] =>
    colors.map((color) => color.replaceAll(/../g, (hex) => (Number.parseInt(hex, 16) < 128 ? "00" : "ff")));
  const jpeg: ConvertOptions = { mediaType: "image/jpeg" };
  const png: ConvertOptions = { mediaType: "image/png" };

  it("print at their own resolution, one page", async () => {
    const image = await quarters(80, 160).withMetadata({ density: 144 }).png().toBuffer();
    const pictures = await made.convert(image, settings(80, 80), png);
    expect(pictures).toHaveLength(1);
    const [picture] = pictures;
    // 80 pixels at 144 dpi are 40 points, centred.
    const row = [18, 22, 57, 62].map((x) => hex(picture, x, 20));
    expect(rough(row)).toEqual(["ffffff", "ff0000", "00ff00", "ffffff"]);
  });

  it("are upright as EXIF says", async () => {
    const image = await quarters()
      .withMetadata({ orientation: 6, density: 72 })
      .jpeg({ quality: 95 })
      .toBuffer();
    const [picture] = await made.convert(image, settings(80, 40), jpeg);
    expect(rough(cornersOf(picture))).toEqual(["0000ff", "ff0000", "000000", "00ff00"]);
  });

  it("lie over white where they are transparent", async () => {
    const half = { create: { width: 32, height: 32, channels: 4, background: "#ff000080" } } as const;
    const [picture] = await made.convert(
      await sharp(half).withMetadata({ density: 72 }).png().toBuffer(),
      settings(32, 32),
      png,
    );
    expect(hex(picture, 16, 16)).toBe("ff7f7f");
  });

  it("keep a colour space of their own, and say which; sRGB is none, and shades of grey are reckoned in sRGB", async () => {
    const image = async (profile: string) =>
      quarters().withMetadata({ density: 72, icc: profile }).png().toBuffer();
    const opened = async (bytes: Uint8Array, ticket: TicketInit = {}) => {
      await using open = await made.converter.open(
        await made.fileOf(bytes),
        "image/png",
        settings(40, 80, ticket),
        never,
      );
      return open.sourceProfile;
    };
    // The same red, in the numbers of Display P3.
    const wide = await image("p3");
    expect(hex((await made.convert(wide, settings(40, 80), png))[0], 4, 4)).toBe("ea3322");
    expect(Buffer.from((await opened(wide))!)).toEqual((await sharp(wide).metadata()).icc);

    expect(await opened(await image("srgb"))).toBeUndefined();
    const monochrome: TicketInit = { printColorMode: PrintColorMode.MONOCHROME };
    expect(await opened(wide, monochrome)).toBeUndefined();
    const [grey] = await made.convert(wide, settings(40, 80, monochrome), png);
    const [plain] = await made.convert(await image("srgb"), settings(40, 80, monochrome), png);
    expect(Math.abs(grey!.at(4, 4) - plain!.at(4, 4)) & 0xff).toBeLessThan(3);
  });

  it("are turned into sRGB where their profile is none for RGB", async () => {
    const wide = await quarters().withMetadata({ density: 72, icc: "p3" }).png().toBuffer();
    const { icc } = await sharp(wide).metadata();
    for (const change of [
      (bytes: Buffer) => bytes.write("GRAY", 16),
      (bytes: Buffer) => bytes.write("prtr", 12),
    ]) {
      const bytes = Buffer.from(icc!);
      change(bytes);
      expect(ownColors({ ...(await sharp(wide).metadata()), icc: bytes })).toBeUndefined();
    }
    expect(ownColors({ ...(await sharp(wide).metadata()), icc: icc!.subarray(0, 300) })).toBeUndefined();
  });

  it("may be grey, of 16 bits, or in CMYK", async () => {
    const grey = await quarters().greyscale().toColourspace("b-w").jpeg({ quality: 95 }).toBuffer();
    const deep = await quarters().toColourspace("rgb16").png().toBuffer();
    const cmyk = await quarters().toColourspace("cmyk").jpeg({ quality: 95 }).toBuffer();
    expect((await sharp(grey).metadata()).channels).toBe(1);
    expect((await sharp(deep).metadata()).depth).toBe("ushort");
    expect((await sharp(cmyk).metadata()).space).toBe("cmyk");
    const [greyPicture] = await made.convert(grey, settings(40, 80), jpeg);
    expect(cornersOf(greyPicture).every((color) => /^(..)\1\1$/.test(color))).toBe(true);
    const [deepPicture] = await made.convert(deep, settings(40, 80), png);
    expect(rough(cornersOf(deepPicture))).toEqual(upright);
    const [cmykPicture] = await made.convert(cmyk, settings(40, 80), jpeg);
    // Inks are duller than light: what is left of a colour is which channel is the greatest.
    const dominant = (color: string): string => {
      const channels = [0, 2, 4].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
      return Math.max(...channels) < 64
        ? "none"
        : (["red", "green", "blue"][channels.indexOf(Math.max(...channels))] ?? "");
    };
    expect(cornersOf(cmykPicture).map(dominant)).toEqual(["red", "green", "blue", "none"]);
  });

  it("are reduced when they have more pixels than paper has dots", async () => {
    const image = await quarters(400, 800).withMetadata({ density: 720 }).png().toBuffer();
    const [picture] = await made.convert(image, settings(40, 80), png);
    expect(rough(cornersOf(picture))).toEqual(upright);
  });

  it("that break off are refused as damaged", async () => {
    const noise = {
      create: {
        width: 256,
        height: 256,
        channels: 3,
        background: "#888",
        noise: { type: "gaussian", mean: 128, sigma: 30 },
      },
    } as const;
    const [inJpeg, inPng] = [await sharp(noise).jpeg().toBuffer(), await sharp(noise).png().toBuffer()];
    for (const [bytes, options, reason] of [
      [inJpeg.subarray(0, 100), jpeg, "corrupt header: premature end of JPEG image"],
      [inJpeg.subarray(0, inJpeg.length / 2), jpeg, "premature end of JPEG image"],
      [inPng.subarray(0, 30), png, "corrupt header"],
      [inPng.subarray(0, inPng.length / 2), png, "libpng read error"],
    ] as const) {
      await expect(made.convert(bytes, settings(72, 72), options)).rejects.toMatchObject({
        code: "document-damaged",
        message: `the image cannot be read: ${reason}`,
      });
    }
  });
});
