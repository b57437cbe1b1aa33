import { afterAll, describe, expect, test } from "vitest";
import { sharpDecoder } from "../adapters/decode.ts";
import { readKernel } from "../adapters/kernel-files.ts";
import { ThreadedDots } from "../adapters/threaded-dots.ts";
import { idealInks } from "../pixels/ink-table.ts";
import type { DotMaker } from "../ports/dot-maker.ts";
import { renderPattern } from "./pattern.ts";

const table = idealInks();
const { signal } = new AbortController();

describe("the test pattern", async () => {
  const dotMaker = new ThreadedDots({ wasm: await readKernel() });
  afterAll(() => dotMaker[Symbol.asyncDispose]());

  test("comes out right where all is well", async () => {
    await renderPattern(sharpDecoder, dotMaker, table, signal);
  });

  test("finds a decoder that is wrong by one pixel", async () => {
    const decoder = {
      ...sharpDecoder,
      decode: async (...args: Parameters<typeof sharpDecoder.decode>) => {
        const pixels = Uint8Array.from(await sharpDecoder.decode(...args));
        pixels[1000]! ^= 1;
        return pixels;
      },
    };
    await expect(renderPattern(decoder, dotMaker, table, signal)).rejects.toThrow("not decoded");
  });

  test("finds a halftoner that is wrong by one dot", async () => {
    const wrong: Pick<DotMaker, "startPage" | "rows"> = {
      startPage: (page) => dotMaker.startPage(page),
      rows: async (...args) => {
        const dots = await dotMaker.rows(...args);
        dots.planes[0]!.bits[20]! ^= 4;
        return dots;
      },
    };
    await expect(renderPattern(sharpDecoder, wrong, table, signal)).rejects.toThrow("not halftoned");
  });
});
