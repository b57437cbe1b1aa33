/** Memory of the controller as on a board: the bundled `platen-printer`, with all that it loads and all its threads. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type Band, BandContent, BandEncoding, BandSchema } from "@platen/proto";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServedPage } from "../../firmware-node/src/testing/pages.ts";
import { bundlePrinter } from "./bundle.ts";
import { printInProcess } from "./printing.ts";

/** A4 at 600 dpi, and what the backend makes of so wide a photo: bands of 2 MiB of pixels. */
const [widthPx, heightPx, rowsPx] = [4960, 7016, 128];
const mebibyte = 1024 * 1024;

let folder: string;
let program: string;
let data: Buffer;

/** A page that is a photo from edge to edge; the same rows again and again. */
function photo(pageHeightPx: number): ServedPage {
  const bands: Band[] = [];
  for (let yPx = 0; yPx + rowsPx <= pageHeightPx; yPx += rowsPx) {
    const [content, encoding] = [BandContent.COLOR, BandEncoding.JPEG];
    bands.push(create(BandSchema, { yPx, rowsPx, content, encoding, data }));
  }
  const y = bands.length * rowsPx;
  bands.push(create(BandSchema, { yPx: y, rowsPx: pageHeightPx - y, content: BandContent.BLANK }));
  return { widthPx, heightPx: pageHeightPx, bands };
}

describe.skipIf(!existsSync("/proc/self/status"))("VmHWM of the printer's process", () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "platen-memory-"));
    program = await bundlePrinter(join(folder, "app"));
    const waves = Uint8Array.from({ length: widthPx * rowsPx * 3 }, (_, i) => {
      const [x, y] = [Math.floor(i / 3) % widthPx, Math.floor(i / 3 / widthPx)];
      return 128 + 90 * Math.sin(x / 37 + (i % 3)) * Math.cos(y / 23) + ((i * 7919) % 31);
    });
    data = await sharp(waves, { raw: { width: widthPx, height: rowsPx, channels: 3 } })
      .jpeg({ quality: 92, chromaSubsampling: "4:4:4" })
      .toBuffer();
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.for(["sim", "serial", "png"] as const)(
    "three photos of A4 at 600 dpi take less than 150 MB (%s)",
    async (sink) => {
      const page = photo(heightPx);
      const { peakMiB } = await printInProcess(program, { pages: [page, page, page], sink });
      expect(peakMiB * mebibyte).toBeLessThan(150_000_000);
    },
  );

  test("a page ten times as long takes no more", async () => {
    const short = await printInProcess(program, { pages: [photo(heightPx)], sink: "sim" });
    const long = await printInProcess(program, { pages: [photo(10 * heightPx)], sink: "sim" });
    expect(long.peakMiB).toBeLessThan(short.peakMiB + 12);
  });
});
