import { describe, expect, it } from "vitest";
import { contentOf, maxBandRowsPx, runsOf } from "./bands.ts";
import { type PixelContent, pixelContent } from "./pixels.ts";

const { blank, grey, color } = pixelContent;
const widthPx = 4;
const fill = { [blank]: 0xffffffff, [grey]: 0xff808080, [color]: 0xff8080ff };

/** Rows of pixels: so many of each content in turn. */
const page = (...parts: [rowsPx: number, content: PixelContent][]): Uint32Array =>
  Uint32Array.from(
    parts.flatMap(([rowsPx, content]) => Array.from({ length: rowsPx * widthPx }, () => fill[content])),
  );

const runs = (...parts: Parameters<typeof page>) =>
  runsOf(page(...parts), widthPx).map(({ yPx, rowsPx, content }) => [yPx, rowsPx, content]);

describe("contentOf", () => {
  it("is exact: one pixel of ink, or of colour, makes the difference", () => {
    const pixels = new Uint32Array(100_000).fill(0xffffffff);
    expect(contentOf(pixels)).toBe(blank);
    pixels[99_999] = 0xfffefefe;
    expect(contentOf(pixels)).toBe(grey);
    pixels[0] = 0xffffffff;
    pixels[50_000] = 0xfffefeff;
    expect(contentOf(pixels)).toBe(color);
  });
});

describe("runsOf", () => {
  it("makes one run of a page of one content", () => {
    expect(runs([1000, blank])).toEqual([[0, 1000, blank]]);
    expect(runs([1000, color])).toEqual([[0, 1000, color]]);
  });

  it("cuts where the content changes, on whole slices of 16 rows", () => {
    expect(runs([100, blank], [100, grey], [300, blank])).toEqual([
      [0, 96, blank],
      [96, 112, grey],
      [208, 292, blank],
    ]);
    expect(runs([64, grey], [64, color], [64, grey])).toEqual([
      [0, 64, grey],
      [64, 64, color],
      [128, 64, grey],
    ]);
  });

  it("lets short blank and grey runs join a richer neighbour, the lesser of two", () => {
    expect(runs([64, grey], [48, blank], [64, grey])).toEqual([[0, 176, grey]]);
    expect(runs([64, grey], [48, blank], [64, color])).toEqual([
      [0, 112, grey],
      [112, 64, color],
    ]);
    expect(runs([64, color], [48, grey], [64, color])).toEqual([[0, 176, color]]);
    expect(runs([64, grey], [64, blank], [64, grey])).toHaveLength(3);
  });

  it("never takes content away: a short run of colour between greys stays", () => {
    expect(runs([64, grey], [16, color], [64, grey])).toEqual([
      [0, 64, grey],
      [64, 16, color],
      [80, 64, grey],
    ]);
  });

  it("leaves short blank runs at the edges, which may go on beyond them", () => {
    expect(runs([16, blank], [64, grey], [16, blank])).toEqual([
      [0, 16, blank],
      [16, 64, grey],
      [80, 16, blank],
    ]);
  });
});

describe("maxBandRowsPx", () => {
  it("is whole slices of about 2 MiB of RGB, and one at least", () => {
    expect(maxBandRowsPx(4961)).toBe(128);
    expect(maxBandRowsPx(4961) * 4961 * 3).toBeLessThanOrEqual(2 * 1024 * 1024);
    expect(maxBandRowsPx(200_000)).toBe(16);
  });
});
