import * as fc from "fast-check";
import { crc32 as zlibCrc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { cobsDecodeInPlace, cobsEncodeInto, cobsOverhead } from "./cobs.ts";
import { crc32 } from "./crc32.ts";
import { encodeFrame, type Frame, FrameReader, maxPayloadBytes } from "./frame.ts";

const stuff = (plain: Uint8Array): Uint8Array => {
  const target = new Uint8Array(plain.length + cobsOverhead(plain.length));
  return target.subarray(0, cobsEncodeInto(plain, target, 0));
};

const bytesWithZeros = fc.oneof(
  fc.uint8Array({ maxLength: 700 }),
  fc.uint8Array({ min: 1, minLength: 250, maxLength: 520 }),
  fc.array(fc.constantFrom(0, 0, 0, 1, 255), { maxLength: 600 }).map((list) => Uint8Array.from(list)),
);

const frames = fc.record({
  type: fc.integer({ min: 0, max: 255 }),
  session: fc.integer({ min: 0, max: 65535 }),
  number: fc.integer({ min: 0, max: 65535 }),
  payload: bytesWithZeros,
});

describe("CRC-32", () => {
  test("of the check string is CBF43926", () => {
    expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  });

  test("is zlib's, in one piece or in two", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, cut) => {
        expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(zlibCrc32(bytes));
      }),
    );
  });
});

describe("COBS", () => {
  test.each([
    ["00", "0101"],
    ["0000", "010101"],
    ["00110000", "0102110101"],
    ["11220033", "0311220233"],
    ["11223344", "0511223344"],
    ["11000000", "0211010101"],
  ])("%s becomes %s", (plain, stuffed) => {
    expect(Buffer.from(stuff(Buffer.from(plain, "hex"))).toString("hex")).toBe(stuffed);
  });

  test("leaves no zero, comes back, and never exceeds its overhead", () => {
    fc.assert(
      fc.property(bytesWithZeros, (plain) => {
        const stuffed = stuff(plain);
        expect(stuffed.includes(0)).toBe(false);
        const work = stuffed.slice();
        expect(work.subarray(0, cobsDecodeInPlace(work))).toEqual(plain);
      }),
    );
  });

  test("any bytes decode within themselves or are refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(cobsDecodeInPlace(bytes)).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});

const readAll = (...parts: Uint8Array[]): Frame[] => {
  const reader = new FrameReader();
  return parts.flatMap((part) => reader.push(part));
};

describe("frames", () => {
  test("come back whole when the line is cut at any byte", () => {
    const first: Frame = {
      type: 0x12,
      session: 0xbeef,
      number: 65535,
      payload: Uint8Array.of(0, 1, 0, 255, 0),
    };
    const second: Frame = { type: 0x83, session: 1, number: 0, payload: new Uint8Array(300).fill(7) };
    const line = Buffer.concat([encodeFrame(first), encodeFrame(second)]);
    for (let cut = 0; cut <= line.length; cut++) {
      expect(readAll(line.subarray(0, cut), line.subarray(cut))).toEqual([first, second]);
    }
    expect(readAll(...Array.from(line, (byte) => Uint8Array.of(byte)))).toEqual([first, second]);
  });

  test("of any content come back", () => {
    fc.assert(
      fc.property(frames, (frame) => {
        expect(readAll(encodeFrame(frame))).toEqual([frame]);
      }),
    );
  });

  test("with any one bit flipped are dropped, and the next one is read", () => {
    const frame: Frame = { type: 0x10, session: 7, number: 3, payload: Uint8Array.of(1, 0, 2, 3) };
    const line = encodeFrame(frame);
    for (let bit = 0; bit < line.length * 8; bit++) {
      const hit = line.slice();
      hit[bit >> 3]! ^= 1 << (bit & 7);
      const read = readAll(hit, line);
      // A hit on the zero in front leaves a frame's worth of noise before the frame, or joins it; the second is whole.
      expect(read.at(-1)).toEqual(frame);
      expect(read.length).toBeLessThanOrEqual(2);
      for (const one of read) expect(one).toEqual(frame);
    }
  });

  test("are found again after any noise that ends in a zero", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 9000 }), frames, (noise, frame) => {
        expect(readAll(noise, Uint8Array.of(0), encodeFrame(frame)).at(-1)).toEqual(frame);
      }),
      { numRuns: 50 },
    );
  });

  test("that never end take no more memory than the longest frame", () => {
    const reader = new FrameReader();
    for (let i = 0; i < 100; i++) expect(reader.push(new Uint8Array(10_000).fill(1))).toEqual([]);
    const frame: Frame = { type: 1, session: 0, number: 0, payload: new Uint8Array(maxPayloadBytes) };
    expect(reader.push(encodeFrame(frame))).toEqual([frame]);
    expect(reader.damaged).toBe(1);
  });

  test("too long to be read are refused by the writer", () => {
    const payload = new Uint8Array(maxPayloadBytes + 1);
    expect(() => encodeFrame({ type: 1, session: 0, number: 0, payload })).toThrow(RangeError);
  });
});
