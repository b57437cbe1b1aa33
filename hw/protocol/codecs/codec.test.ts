import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CodecName, codecNames } from "../words.ts";
import { decodeBand, encodeBand } from "./codec.ts";

const packed = codecNames.filter((name) => name !== "raw");

/** Bands as pages have them (runs, repeated rows, screens, noise), any width. */
const bandArbitrary = fc
  .record({
    strideBytes: fc.integer({ min: 1, max: 700 }),
    rows: fc.integer({ min: 1, max: 6 }),
    fill: fc.constantFrom(0, 0, 255, 0x88),
    dots: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 60 }),
    repeats: fc.boolean(),
  })
  .map(({ strideBytes, rows, fill, dots, repeats }) => {
    const bits = new Uint8Array(strideBytes * rows).fill(fill);
    for (const [at, byte] of dots) bits[at % bits.length] = byte;
    if (repeats) for (let row = 1; row < rows; row++) bits.copyWithin(row * strideBytes, 0, strideBytes);
    return { strideBytes, bits };
  });

const noise = fc.record({
  strideBytes: fc.constantFrom(1, 3, 64),
  bits: fc.uint8Array({ minLength: 192, maxLength: 192 }),
});

describe.each(packed)("%s", (codec) => {
  test("gives back every band, and codes only what gets smaller", () => {
    fc.assert(
      fc.property(fc.oneof(bandArbitrary, noise), ({ strideBytes, bits }) => {
        const coded = encodeBand(bits, strideBytes, [codec]);
        expect(coded.bytes.length).toBeLessThanOrEqual(bits.length);
        if (coded.codec !== "raw") expect(coded.bytes.length).toBeLessThan(bits.length);
        const back = new Uint8Array(bits.length).fill(0xa5);
        expect(decodeBand(coded.codec, coded.bytes, back, strideBytes)).toBe(true);
        expect(back).toEqual(bits);
      }),
    );
  });

  test("decodes or refuses any bytes, and writes nothing beyond the band", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 5 }),
        (coded, strideBytes, rows) => {
          const memory = new Uint8Array(strideBytes * rows + 64).fill(0xa5);
          decodeBand(codec, coded, memory.subarray(32, memory.length - 32), strideBytes);
          expect(memory.subarray(0, 32).every((byte) => byte === 0xa5)).toBe(true);
          expect(memory.subarray(memory.length - 32).every((byte) => byte === 0xa5)).toBe(true);
        },
      ),
      { numRuns: 400 },
    );
  });

  test("codes a blank band in a few bytes", () => {
    const bits = new Uint8Array(620 * 64);
    expect(encodeBand(bits, 620, [codec]).bytes.length).toBeLessThan(700);
  });
});

test("the smallest of what is offered is taken, raw when nothing is smaller", () => {
  const blank = new Uint8Array(6200);
  const sizes = codecNames.map((name) => [name, encodeBand(blank, 620, [name]).bytes.length] as const);
  const best = sizes.reduce((a, b) => (b[1] < a[1] ? b : a));
  expect(encodeBand(blank, 620, codecNames).codec).toBe(best[0]);
  expect(encodeBand(blank, 620, ["raw"]).codec).toBe("raw");
  const dense = Uint8Array.from({ length: 256 }, (_, i) => (i * 167 + 13) & 255);
  const offered: CodecName[] = ["packbits"];
  expect(encodeBand(dense, 16, offered)).toEqual({ codec: "raw", bytes: dense });
});

test("the context codec passes carries through bytes that are out already", () => {
  // Long runs of improbable decisions push `low` past 2³² again and again.
  for (let seed = 1; seed < 40; seed++) {
    let state = seed;
    const bits = Uint8Array.from({ length: 64 * 40 }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state >>> 24) & (state >>> 16) & (state >>> 8) & 255;
    });
    const coded = encodeBand(bits, 40, ["context"]);
    expect(coded.codec).toBe("context");
    const back = new Uint8Array(bits.length);
    expect(decodeBand("context", coded.bytes, back, 40)).toBe(true);
    expect(back).toEqual(bits);
  }
});
