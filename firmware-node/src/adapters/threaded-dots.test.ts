import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BandKind } from "../pixels/halftoner.ts";
import { idealInks } from "../pixels/ink-table.ts";
import type { DotPage, Dots } from "../ports/dot-maker.ts";
import { readKernel } from "./kernel-files.ts";
import { localKernel } from "../testing/local-kernel.ts";
import { ThreadedDots } from "./threaded-dots.ts";

const table = idealInks();
const never = new AbortController().signal;
const kernel = localKernel(table);
let dots: ThreadedDots;
beforeAll(async () => {
  dots = new ThreadedDots({ wasm: await readKernel() });
});
afterAll(() => dots[Symbol.asyncDispose]());

const pageOf = (widthPx: number, more: Partial<DotPage> = {}): DotPage => ({
  widthPx,
  halftone: "shiau-fan",
  inks: "cmyk",
  table,
  ...more,
});

const bytesOf: Record<BandKind, number> = { blank: 0, grey: 1, color: 3 };
const pixelsFor = (kind: BandKind, count: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: count * bytesOf[kind] }, (_, i) => (i * 37 + seed * 91 + (i >> 5)) & 255);

test("the dots are those of the kernel on one thread, however the page is cut into strips", async () => {
  const strip = fc.record({
    kind: fc.constantFrom<BandKind>("blank", "grey", "color"),
    rowsPx: fc.integer({ min: 1, max: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 90 }),
      fc.constantFrom("k" as const, "cmyk" as const),
      fc.array(strip, { minLength: 1, maxLength: 8 }),
      async (widthPx, inks, strips) => {
        await dots.startPage(pageOf(widthPx, { inks }));
        const halftoner = kernel.halftoner("shiau-fan", widthPx, inks);
        for (const [seed, { kind, rowsPx }] of strips.entries()) {
          const pixels = pixelsFor(kind, widthPx * rowsPx, seed);
          using made = await dots.rows(kind, pixels, rowsPx, never);
          expect(
            made.planes.map(({ colorant, bits }) => [colorant, Buffer.from(bits).toString("hex")]),
          ).toEqual(
            halftoner
              .band(kind, pixels, rowsPx)
              .map(({ colorant, bits }) => [colorant, Buffer.from(bits).toString("hex")]),
          );
        }
      },
    ),
    { numRuns: 30 },
  );
});

describe("memory is bounded", () => {
  const rows = (signal = never): Promise<Dots> => dots.rows("grey", pixelsFor("grey", 64, 1), 8, signal);

  test("who finds no room waits until dots are disposed of, or until the signal aborts", async () => {
    await dots.startPage(pageOf(8));
    const held = [await rows(), await rows(), await rows()];
    const stop = new AbortController();
    const canceled = rows(stop.signal);
    const waiting = rows();
    stop.abort(new Error("enough"));
    await expect(canceled).rejects.toThrow("enough");
    held[0]![Symbol.dispose]();
    using _dots = await waiting;
    for (const one of held.slice(1)) one[Symbol.dispose]();
    using _again = await rows();
  });

  test.each([1, 4960, 14_031, 65_535])(
    "strips of a page %i pixels wide fit, however wide",
    async (widthPx) => {
      await dots.startPage(pageOf(widthPx));
      const { rowsMax } = dots;
      expect(rowsMax).toBeGreaterThan(0);
      using made = await dots.rows("color", new Uint8Array(widthPx * rowsMax * 3), rowsMax, never);
      expect(made.planes.map(({ colorant }) => colorant)).toEqual(["black"]);
    },
  );
});

test("after a crash the next page prints, its table included", async () => {
  await dots.startPage(pageOf(8));
  // As good as a crash to whoever asks: the thread is gone in the middle of a page.
  const lost = dots.rows("grey", pixelsFor("grey", 64, 1), 8, never);
  await dots[Symbol.asyncDispose]();
  await expect(lost).rejects.toMatchObject({ code: "internal" });
  await expect(dots.rows("grey", pixelsFor("grey", 64, 1), 8, never)).rejects.toThrow(
    "no page has been begun",
  );
  await dots.startPage(pageOf(8));
  using made = await dots.rows("grey", new Uint8Array(64), 8, never);
  expect(made.planes).toHaveLength(1);
});
