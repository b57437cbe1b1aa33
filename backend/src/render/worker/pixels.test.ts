import { describe, expect, it } from "vitest";
import { desaturate, isGrey, packGrey, shadingShare } from "./pixels.ts";

/** An opaque pixel from 0xRRGGBB. */
const pixel = (rgb: number): number =>
  0xff000000 + ((rgb & 0xff) << 16) + (rgb & 0xff00) + ((rgb >>> 16) & 0xff);
const pixels = (...rgb: number[]): Uint32Array => Uint32Array.from(rgb, pixel);
const greys = Uint32Array.from({ length: 256 }, (_, v) => pixel(v * 0x010101));

describe("isGrey", () => {
  it("is true of all greys, and false of the least colour in any channel", () => {
    expect(isGrey(greys)).toBe(true);
    for (const rgb of [0x010000, 0x000100, 0x000001, 0xfeffff, 0xfffeff, 0xfffffe]) {
      expect(isGrey(pixels(0, 0xffffff, rgb)), rgb.toString(16)).toBe(false);
    }
  });

  it("sees one colour among many greys, wherever it is", () => {
    for (let length = 0; length < 20; length++) {
      expect(isGrey(greys.subarray(0, length))).toBe(true);
      for (let at = 0; at < length; at++) {
        expect(isGrey(greys.slice(0, length).fill(pixel(0x123456), at, at + 1)), `${at} of ${length}`).toBe(
          false,
        );
      }
    }
  });
});

describe("packGrey", () => {
  it("keeps one byte a pixel", () => {
    expect([...packGrey(greys)]).toEqual(Array.from({ length: 256 }, (_, v) => v));
  });
});

describe("desaturate", () => {
  it("leaves every grey as it is", () => {
    const kept = greys.slice();
    desaturate(kept);
    expect(kept).toEqual(greys);
  });

  it("turns a colour into the grey of its luminance in linear light", () => {
    // sRGB of linear 0.2126, 0.7152, 0.0722 and 0.9278, by IEC 61966-2-1.
    const colors = pixels(0xff0000, 0x00ff00, 0x0000ff, 0xffff00);
    desaturate(colors);
    expect(colors).toEqual(pixels(0x7f7f7f, 0xdcdcdc, 0x4c4c4c, 0xf7f7f7));
  });

  it("keeps pixels opaque, and white for what is all but white", () => {
    const nearly = pixels(0xfffffe, 0xfffeff);
    desaturate(nearly);
    expect(nearly).toEqual(pixels(0xffffff, 0xfefefe));
  });
});

describe("shadingShare", () => {
  it("counts small steps, not flat runs and not hard edges", () => {
    expect(shadingShare(Uint8Array.of(9, 9, 9, 9), 4, 1)).toBe(0);
    expect(shadingShare(Uint8Array.of(255, 0, 255, 0), 4, 1)).toBe(0);
    expect(shadingShare(Uint8Array.of(0, 1, 17, 34), 4, 1)).toBe(0.5);
  });

  it("looks at one row in so many, and compares within a row only", () => {
    const rows = Uint8Array.of(5, 5, 1, 2, 6, 6, 1, 2);
    expect(shadingShare(rows, 2, 2)).toBe(0);
    expect(shadingShare(rows, 2, 1)).toBe(0.25);
  });

  it("looks at every channel of words: one large step makes an edge", () => {
    expect(shadingShare(pixels(0x000000, 0x000001, 0x010001, 0x010101), 4, 1)).toBe(0.75);
    expect(shadingShare(pixels(0x000000, 0x010011, 0x121111, 0x112212), 4, 1)).toBe(0);
  });
});
