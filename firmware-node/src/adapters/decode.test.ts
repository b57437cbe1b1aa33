import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { create } from "@bufbuild/protobuf";
import { BandContent, BandEncoding, BandSchema } from "@platen/proto";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
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

test.skipIf(!existsSync("/proc/self/task"))(
  "libvips has a set number of threads, which it never ends: what is given to one that ends may be lost",
  async () => {
    const program = `
      await import(${JSON.stringify(new URL("./decode.ts", import.meta.url))});
      const { readdir, readFile } = await import("node:fs/promises");
      const names = (await readdir("/proc/self/task")).map((id) => readFile("/proc/self/task/" + id + "/comm", "utf8"));
      console.log((await Promise.all(names)).filter((name) => name.startsWith("libvips worker")).length);`;
    const { VIPS_MAX_THREADS: _, ...env } = process.env;
    const args = ["--input-type=module", "--eval", program];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    expect(stdout).toBe("3\n");
  },
);

describe("a JPEG that is not what the band says is refused", () => {
  const [widthPx, rowsPx] = [64, 16];
  const pixels = Uint8Array.from({ length: widthPx * rowsPx * 3 }, (_, i) => (i * 29) & 255);
  const raw = { width: widthPx, height: rowsPx, channels: 3 as const };
  let jpeg: Buffer;
  beforeAll(async () => {
    jpeg = await sharp(pixels, { raw }).jpeg({ quality: 92, chromaSubsampling: "4:4:4" }).toBuffer();
  });
  const decode = (data: Uint8Array) =>
    sharpDecoder.decode(
      create(BandSchema, { rowsPx, content: BandContent.COLOR, encoding: BandEncoding.JPEG, data }),
      widthPx,
    );
  /** The frame header (ITU-T T.81, B.2.2) with other bytes from its marker on: marker 2, length 2, precision 1, lines 2, samples 2. */
  const withHeader = (at: number, ...bytes: number[]): Uint8Array => {
    const changed = Buffer.from(jpeg);
    changed.set(bytes, changed.indexOf(Uint8Array.of(0xff, 0xc0)) + at);
    return changed;
  };

  test.each([
    ["arithmetic coding", 1, [0xc9]],
    ["progressive", 1, [0xc2]],
    ["lossless", 1, [0xc3]],
    ["12 bits a sample", 4, [12]],
    ["65535 lines", 5, [0xff, 0xff]],
    ["65535 samples a line", 7, [0xff, 0xff]],
    ["65535 of both", 5, [0xff, 0xff, 0xff, 0xff]],
    ["no lines", 5, [0, 0]],
    ["no samples", 7, [0, 0]],
    ["one line too many", 5, [0, 17]],
    ["four components", 9, [4]],
  ])("%s", async (_, at, bytes) => {
    await expect(decode(withHeader(at, ...bytes))).rejects.toMatchObject({ code: "page-invalid" });
  });

  test("cut off anywhere", async () => {
    await expect(decode(jpeg)).resolves.toHaveLength(pixels.length);
    for (let end = 0; end < jpeg.length - 2; end += 7) {
      await expect(decode(jpeg.subarray(0, end)), `after ${end} bytes`).rejects.toMatchObject({
        code: "page-invalid",
      });
    }
  });
});
