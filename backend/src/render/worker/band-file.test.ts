import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BandContent, BandEncoding } from "@platen/proto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readBands } from "../test-support.ts";
import { BandFile } from "./band-file.ts";
import { pixelContent } from "./pixels.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "platen-band-file-"));
});
afterAll(() => rm(folder, { recursive: true }));

const band = (text: string) => ({ encoding: BandEncoding.PNG, data: Buffer.from(text) });

describe("BandFile", () => {
  it("writes bands in order, whichever is encoded first, and joins blank rows", async () => {
    const path = join(folder, "order");
    const slow = Promise.withResolvers<ReturnType<typeof band>>();
    const { grey, color } = pixelContent;
    {
      await using file = await BandFile.create(path);
      await file.blank(16);
      await file.blank(32);
      await file.inked(64, grey, slow.promise);
      await file.inked(80, color, Promise.resolve(band("second")));
      slow.resolve(band("first"));
      await file.blank(16);
      await file.blank(7);
      expect(await file.finish()).toEqual({
        kind: "rendered",
        sizeBytes: (await stat(path)).size,
        blankBands: 2,
        greyBands: 1,
        colorBands: 1,
      });
    }
    const { BLANK, GREY, COLOR } = BandContent;
    expect(await readBands({ path })).toMatchObject([
      { yPx: 0, rowsPx: 48, content: BLANK, encoding: BandEncoding.UNSPECIFIED, data: new Uint8Array() },
      {
        yPx: 48,
        rowsPx: 64,
        content: GREY,
        encoding: BandEncoding.PNG,
        data: Uint8Array.from(Buffer.from("first")),
      },
      { yPx: 112, rowsPx: 80, content: COLOR, data: Uint8Array.from(Buffer.from("second")) },
      { yPx: 192, rowsPx: 23, content: BLANK },
    ]);
  });

  it("throws what an encoder throws", async () => {
    await using file = await BandFile.create(join(folder, "failure"));
    await file.inked(16, pixelContent.grey, Promise.reject(new Error("no room")));
    await expect(file.finish()).rejects.toThrow("no room");
  });
});
