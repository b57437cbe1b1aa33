import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileKernel } from "../../kernel/tools/build.ts";
import { blueNoiseSource } from "../../kernel/tools/make-mask.ts";
import { arbitraryPage, asOneBand, dotsOfBands, flatBand, type TestPage } from "../testing/dot-pages.ts";
import { kernelBytes, type LocalKernel, localKernel } from "../testing/local-kernel.ts";
import { full, idealInks, type InkTable } from "./ink-table.ts";
import { Kernel } from "./kernel.ts";
import { referenceHalftoner } from "./reference.ts";
import type { HalftoneName, Inks } from "./screen.ts";
import { fill, makeStrips } from "./strip-memory.ts";

const ideal = idealInks();
const kernel = localKernel(ideal);

/** A table without any order, so that no wrong point goes unseen. */
function scrambledInks(): InkTable {
  let state = 7;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * (full + 1));
  };
  return { ...ideal, cube: ideal.cube.map(next), black: ideal.black.map(next) };
}

describe.each<[HalftoneName, Inks]>([
  ["shiau-fan", "cmyk"],
  ["shiau-fan", "k"],
  ["ordered", "cmyk"],
  ["ordered", "k"],
])("the kernel, %s, %s,", (halftone, inks) => {
  const sameAsReference = (made: LocalKernel, table: InkTable, page: TestPage): void => {
    const expected = dotsOfBands(referenceHalftoner(halftone, table, page.width, inks), page.bands);
    expect(dotsOfBands(made.halftoner(halftone, page.width, inks), page.bands)).toEqual(expected);
  };

  test("lays the reference's dots on any page, band by band", () => {
    fc.assert(
      fc.property(arbitraryPage, (page) => sameAsReference(kernel, ideal, page)),
      { numRuns: 200, seed: 1 },
    );
  });

  test("reads any table as the reference does", () => {
    const table = scrambledInks();
    const scrambled = localKernel(table);
    fc.assert(
      fc.property(arbitraryPage, (page) => sameAsReference(scrambled, table, page)),
      { numRuns: 60, seed: 2 },
    );
  });

  test("sends neutrals through the cube where the table says so, as the reference does", () => {
    const table: InkTable = { ...scrambledInks(), neutrals: "cube" };
    const photos = localKernel(table);
    fc.assert(
      fc.property(arbitraryPage, (page) => sameAsReference(photos, table, page)),
      { numRuns: 60, seed: 5 },
    );
  });

  test("lays the same dots however the page is cut and whatever its bands are called", () => {
    fc.assert(
      fc.property(arbitraryPage, fc.infiniteStream(fc.integer({ min: 1, max: 19 })), (page, cuts) => {
        const whole = asOneBand(page);
        const cut = [];
        for (let y = 0; y < whole.rows; ) {
          const rows = Math.min(cuts.next().value!, whole.rows - y);
          const pixels = whole.pixels.subarray(y * page.width * 3, (y + rows) * page.width * 3);
          cut.push({ kind: "color" as const, pixels, rows });
          y += rows;
        }
        const expected = planesOf(halftone, page.width, [whole], inks);
        expect(planesOf(halftone, page.width, cut, inks)).toEqual(expected);
        expect(planesOf(halftone, page.width, page.bands, inks)).toEqual(expected);
      }),
      { numRuns: 120, seed: 3 },
    );
  });

  test.each([
    ["noise", (i: number) => (Math.imul(i, 2654435761) >>> 13) & 255],
    ["a ramp", (i: number) => Math.floor((i % 4961) / 19.5)],
    ["white", () => 255],
    ["black", () => 0],
  ])("lays the reference's dots on a wide page of %s", (_, value) => {
    const width = 4961;
    const pixels = Uint8Array.from({ length: width * 13 * 3 }, (_, i) => value(i));
    sameAsReference(kernel, ideal, { width, bands: [{ kind: "color", pixels, rows: 13 }] });
  });
});

/** All planes of a page, each as the rows of all bands. */
function planesOf(
  halftone: HalftoneName,
  width: number,
  bands: TestPage["bands"],
  inks: Inks,
): Record<string, string> {
  const halftoner = kernel.halftoner(halftone, width, inks);
  const planes: Record<string, string> = { cyan: "", magenta: "", yellow: "", black: "" };
  for (const { kind, pixels, rows } of bands) {
    const laid = halftoner.band(kind, pixels, rows);
    for (const colorant of Object.keys(planes)) {
      const bits = laid.find((plane) => plane.colorant === colorant)?.bits;
      planes[colorant] += Buffer.from(bits ?? new Uint8Array(rows * halftoner.strideBytes)).toString("hex");
    }
  }
  return planes;
}

test("a band with too few pixels is refused", () => {
  const halftoner = kernel.halftoner("shiau-fan", 10, "cmyk");
  expect(() => halftoner.band("color", new Uint8Array(10 * 3 * 4 - 1), 4)).toThrow(RangeError);
});

test("a page leaves no error, no width and no thresholds to the next one", () => {
  const [wide, small] = [flatBand(200, 5, [90, 60, 30]), flatBand(41, 7, [30, 60, 90])];
  const expected = dotsOfBands(referenceHalftoner("shiau-fan", ideal, 41, "cmyk"), [small]);
  for (const halftone of ["shiau-fan", "ordered"] as const) {
    dotsOfBands(kernel.halftoner(halftone, 200, "cmyk"), [wide]);
    expect(dotsOfBands(kernel.halftoner("shiau-fan", 41, "cmyk"), [small])).toEqual(expected);
  }
});

test.each([1, 2, 8, 9, 24, 4961])(
  "pixels and planes of a page %i wide lie within their strip, and nothing beside them is touched",
  (width) => {
    const rows = 13;
    const { memory, strips } = makeStrips(3, rows * Math.ceil(width / 16) * 16 * 3);
    const page = new Kernel(kernelBytes, ideal, memory).page("shiau-fan", width, "cmyk");
    for (const { pixels, planes } of strips) {
      pixels.fill(0x5a);
      planes.fill(0x5a);
    }
    const noise = Uint8Array.from({ length: rows * width * 3 }, (_, i) => Math.imul(i, 2654435761) >>> 24);
    const [before, strip, after] = strips;
    fill(strip!, noise, "color", width, rows);
    const laid = page.dots("color", strip!, rows);
    const { strideBytes, band } = referenceHalftoner("shiau-fan", ideal, width, "cmyk");
    expect(laid).toEqual(band("color", noise, rows));
    const planeBytes = strip!.planes.length / 4;
    const untouched = [before!.pixels, before!.planes, after!.pixels, after!.planes];
    for (let plane = 0; plane < 4; plane++)
      untouched.push(
        strip!.planes.subarray(plane * planeBytes + rows * strideBytes, (plane + 1) * planeBytes),
      );
    for (const bytes of untouched) expect(bytes.every((byte) => byte === 0x5a)).toBe(true);
  },
);

test("more rows than a strip holds are refused", () => {
  const { memory, strips } = makeStrips(1, 16 * 3 * 4);
  const page = new Kernel(kernelBytes, ideal, memory).page("shiau-fan", 10, "cmyk");
  expect(() => page.dots("color", strips[0]!, 5)).toThrow(RangeError);
  expect(page.dots("color", strips[0]!, 4)).toHaveLength(1);
});

test("kernel.wasm is what kernel/assembly compiles to (node firmware-node/kernel/tools/build.ts)", async () => {
  expect(Buffer.from(await compileKernel()).equals(kernelBytes)).toBe(true);
});

test("the mask is what its generator makes (node firmware-node/kernel/tools/make-mask.ts)", () => {
  const file = readFileSync(new URL("./blue-noise.ts", import.meta.url), "utf8");
  expect(file === blueNoiseSource()).toBe(true);
});
