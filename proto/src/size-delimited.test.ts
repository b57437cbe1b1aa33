import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  BandContent,
  BandEncoding,
  BandSchema,
  decodeSizeDelimited,
  encodeSizeDelimited,
  PlatenError,
} from "./index.ts";

const maxBytes = 16 * 1024;

async function* pieces(...parts: Uint8Array[]) {
  yield* parts;
}

const decode = (parts: Uint8Array[], cap = maxBytes) =>
  Array.fromAsync(decodeSizeDelimited(BandSchema, pieces(...parts), cap));

const refusal = (parts: Uint8Array[], cap = maxBytes): Promise<unknown> =>
  decode(parts, cap).then(
    () => undefined,
    (error: unknown) => error,
  );

const band = fc.record({
  yPx: fc.nat(),
  rowsPx: fc.nat(),
  content: fc.constantFrom(BandContent.BLANK, BandContent.GREY, BandContent.COLOR),
  encoding: fc.constantFrom(BandEncoding.JPEG, BandEncoding.PNG),
  // Lengths on both sides of one and two bytes of varint.
  data: fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(0, 110, 16_000).map((n) => new Uint8Array(n)),
  ),
});

const encode = (bands: readonly object[]): Buffer =>
  Buffer.concat(bands.map((value) => encodeSizeDelimited(BandSchema, value)));

/** `bytes` cut at the given places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [0, ...places.toSorted((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end));
}

/** A declared length, and nothing after it. */
function lengthOnly(length: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = length; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest < 128 ? rest : (rest % 128) + 128);
    if (rest < 128) return Uint8Array.from(bytes);
  }
}

describe("size-delimited messages", () => {
  test("come back whole, however the stream is cut, empty pieces included", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(band, { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        async (bands, at) => {
          const bytes = encode(bands);
          const parts = cut(
            bytes,
            at.map((place) => place % (bytes.length + 1)),
          );
          const read = await decode(parts);
          const plain = read.map(({ yPx, rowsPx, content, encoding, data }) => ({
            yPx,
            rowsPx,
            content,
            encoding,
            data: Uint8Array.from(data),
          }));
          expect(plain).toEqual(bands);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("come back whole when the stream is cut at any one byte, or at all", async () => {
    const bands = [{ rowsPx: 1 }, { rowsPx: 2, data: new Uint8Array(200).fill(7) }, {}, { rowsPx: 3 }];
    const bytes = encode(bands);
    const whole = await decode([bytes]);
    expect(whole.map(({ rowsPx, data }) => [rowsPx, data.length])).toEqual([
      [1, 0],
      [2, 200],
      [0, 0],
      [3, 0],
    ]);
    for (let place = 0; place <= bytes.length; place++)
      expect(await decode(cut(bytes, [place]))).toEqual(whole);
    expect(await decode(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(whole);
  });

  test("of no bytes are no messages", async () => {
    expect(await decode([])).toEqual([]);
    expect(await decode([new Uint8Array(0)])).toEqual([]);
  });

  test("are yielded before the rest of the stream arrives", async () => {
    const bytes = encode([{ rowsPx: 1 }, { rowsPx: 2 }]);
    async function* halting() {
      yield bytes;
      throw new PlatenError("page-unavailable", "the line is cut");
    }
    const messages = decodeSizeDelimited(BandSchema, halting(), maxBytes);
    expect((await messages.next()).value?.rowsPx).toBe(1);
    expect((await messages.next()).value?.rowsPx).toBe(2);
    await expect(messages.next()).rejects.toMatchObject({ code: "page-unavailable" });
  });

  test("cut short are refused, wherever the end is missing", async () => {
    const bytes = encode([{ rowsPx: 2, data: new Uint8Array(200) }]);
    for (let end = 1; end < bytes.length; end++) {
      expect(await refusal([bytes.subarray(0, end)])).toMatchObject({ code: "page-invalid" });
    }
  });

  test("as long as the cap pass, one byte more is refused", async () => {
    const bytes = encodeSizeDelimited(BandSchema, { data: new Uint8Array(1000) });
    const size = bytes.length - 2; // the length itself takes two bytes
    expect(await decode([bytes], size)).toHaveLength(1);
    expect(await refusal([bytes], size - 1)).toMatchObject({ code: "page-invalid" });
  });

  test("that declare more than the cap are refused before anything of them is taken", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: maxBytes + 1, max: 2 ** 35 - 1 }), async (length) => {
        let taken = 0;
        async function* endless() {
          yield lengthOnly(length);
          for (;;) {
            taken++;
            yield new Uint8Array(1024);
          }
        }
        const messages = decodeSizeDelimited(BandSchema, endless(), maxBytes);
        await expect(messages.next()).rejects.toMatchObject({ code: "page-invalid" });
        expect(taken).toBe(0);
      }),
    );
  });

  test("with a length that does not end are refused", async () => {
    expect(await refusal([new Uint8Array(100).fill(0x80)])).toMatchObject({ code: "page-invalid" });
    expect(await refusal([new Uint8Array(5).fill(0xff)])).toMatchObject({ code: "page-invalid" });
  });

  test("that are no message are refused", async () => {
    const broken = Uint8Array.of(2, 0x0f, 0xff);
    expect(await refusal([broken])).toMatchObject({ code: "page-invalid", message: "a Band cannot be read" });
  });

  test("of any bytes are messages or a refusal", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const error = await refusal([bytes]);
        expect(error === undefined || (error as PlatenError).code === "page-invalid").toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test("let go of their stream when the reader leaves", async () => {
    let closed = false;
    async function* endless() {
      try {
        for (;;) yield encode([{ rowsPx: 1 }]);
      } finally {
        closed = true;
      }
    }
    for await (const _ of decodeSizeDelimited(BandSchema, endless(), maxBytes)) break;
    expect(closed).toBe(true);
  });
});
