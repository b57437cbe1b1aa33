import type { ServerResponse } from "node:http";
import { create } from "@bufbuild/protobuf";
import { type Band, BandContent, BandEncoding, BandSchema, JobState, JobStateReason } from "@platen/proto";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { bodyOf, makePage, type TestPage } from "../testing/pages.ts";
import { answering, inTurn, type Interception } from "../testing/result-server.ts";
import { expectNextJobPrints, last, type Rig, startRig } from "../testing/rig.ts";

let pages: TestPage[];
beforeAll(async () => {
  pages = await Promise.all([1, 2].map((seed) => makePage(seed)));
});

describe("S1405: a metafile that cannot be had, or is not one, aborts the print before anything is laid", () => {
  const metafile = "/metafiles/job-1";
  const expectAborted = async (rig: Rig, errorCode: string, message: RegExp) => {
    const end = last(await rig.print());
    expect(end).toMatchObject({ state: JobState.ABORTED, errorCode });
    expect(end.message).toMatch(message);
    expect(rig.model.counts.fed).toBe(0);
    return end;
  };

  test("S1504: the result store does not know the identification id, or the token is another", async () => {
    await using rig = await startRig({ pages });
    const end = last(await rig.print(rig.instruction({ token: "another" })));
    expect(end).toMatchObject({
      state: JobState.ABORTED,
      stateReasons: [JobStateReason.ABORTED_BY_SYSTEM, JobStateReason.DOCUMENT_ACCESS_ERROR],
      errorCode: "metafile-unavailable",
    });
    expect(end.message).toMatch(/bad identification id/);
    await expectNextJobPrints(rig);
  });

  test("nobody answers, and patience ends", async () => {
    await using rig = await startRig({ pages, patienceMs: 50 });
    const instruction = rig.instruction({ metafileUrl: "http://127.0.0.1:9/metafile" });
    expect(last(await rig.print(instruction))).toMatchObject({
      state: JobState.ABORTED,
      errorCode: "metafile-unavailable",
    });
  });

  test("a server that accepts and says nothing is not waited for without end", async () => {
    await using rig = await startRig({ pages, patienceMs: 50, intercept: () => new Promise(() => {}) });
    await expectAborted(rig, "metafile-unavailable", /nothing came/);
  });

  test("a redirect is refused: it would take the token elsewhere", async () => {
    const intercept: Interception = ({ url }, response) => {
      if (url !== metafile) return false;
      response.writeHead(302, { location: "/metafiles/job-2" }).end();
      return true;
    };
    await using rig = await startRig({ pages, intercept });
    await expectAborted(rig, "metafile-unavailable", /302/);
  });

  test("no TLS on the way to another machine", async () => {
    await using rig = await startRig({ pages });
    const instruction = rig.instruction({ metafileUrl: "http://192.0.2.1/metafile" });
    const end = last(await rig.print(instruction));
    expect(end).toMatchObject({ state: JobState.ABORTED, errorCode: "metafile-unavailable" });
    expect(end.message).toMatch(/--allow-plaintext/);
  });

  test("it is no JSON, no UTF-8, not a metafile, or longer than any", async () => {
    const cases: [Uint8Array | string, RegExp][] = [
      ["<html>", /cannot be read/],
      [Uint8Array.of(0x7b, 0xff, 0x7d), /cannot be read/],
      ['{"pages": 3}', /cannot be read/],
      ["{}", /of another job/],
      [new Uint8Array(17 * 1024 * 1024).fill(32), /more than/],
    ];
    for (const [bytes, message] of cases) {
      await using rig = await startRig({ pages, intercept: answering(metafile, bytes) });
      await expectAborted(rig, "metafile-invalid", message);
    }
  });

  test("it says what this engine cannot do, or nothing that makes sense", async () => {
    const page = { pageNumber: 1, url: "http://127.0.0.1/1", widthPx: 10, heightPx: 10 };
    const good = {
      session: { jobId: "job-1", printerId: "printer-1" },
      ticket: {},
      mediaWidthUm: 210_000,
      mediaHeightUm: 297_000,
      resolutionDpi: 300,
      pages: [page],
    };
    const cases: [object, RegExp][] = [
      [{ session: { jobId: "job-1", printerId: "printer-2" } }, /of another job/],
      [{ ticket: undefined }, /no ticket/],
      [{ resolutionDpi: 1200 }, /prints at 300, 600 dpi, not at 1200/],
      [{ pages: [] }, /no pages/],
      [{ pages: [{ ...page, pageNumber: 2 }] }, /page 2 stands where page 1 belongs/],
      [{ pages: [{ ...page, url: "file:///etc/passwd" }] }, /no http or https URL/],
      [{ pages: [{ ...page, widthPx: 0 }] }, /media do not hold/],
      [{ pages: [{ ...page, widthPx: 4_000_000_000 }] }, /media do not hold/],
      [{ pages: [{ ...page, heightPx: 3510 }] }, /media do not hold/],
      [{ ticket: { sides: 77 } }, /unknown sides, 77/],
      [{ ticket: { sheetCollate: 77 } }, /unknown sheet_collate/],
      [{ ticket: { printColorMode: 77 } }, /unknown print_color_mode/],
      [{ ticket: { printQuality: 77 } }, /unknown print_quality/],
      [{ ticket: { printContentOptimize: 77 } }, /unknown print_content_optimize/],
      [{ ticket: { copies: 1000 } }, /1000 copies/],
      [{ ticket: { sides: 2 } }, /one side only/],
      [{ ticket: { printColorMode: 2 } }, /insists on colour/],
    ];
    for (const [change, message] of cases) {
      const intercept = answering(metafile, JSON.stringify({ ...good, ...change }));
      await using rig = await startRig({ pages, duplex: false, engine: { inks: ["black"] }, intercept });
      await expectAborted(rig, "metafile-invalid", message);
    }
  });
});

describe("a page that is not what it says aborts the print, and the printer is ready for the next", () => {
  const expectRefused = async (body: Uint8Array, message: RegExp, fed: number) => {
    await using rig = await startRig({
      pages: [pages[0]!, pages[1]!],
      intercept: inTurn("/pages/1", (response) => void response.end(body)),
    });
    const end = last(await rig.print());
    expect(end).toMatchObject({
      state: JobState.ABORTED,
      errorCode: "page-invalid",
      mediaSheetsCompleted: 0,
    });
    expect(end.message).toMatch(message);
    expect(rig.model.counts).toEqual({ fed, stacked: 0, wasted: fed });
    await expectNextJobPrints(rig);
  };
  const band = (init: Partial<Band>): Band => create(BandSchema, init as object);
  const blank = (yPx: number, rowsPx: number) => band({ yPx, rowsPx, content: BandContent.BLANK });
  /** Page 1 is 61 × 24 pixels in bands of 8 rows: blank, grey, colour. */
  const replaced = (index: number, change: Partial<Band>): Uint8Array =>
    bodyOf(pages[0]!.bands.map((one, i) => (i === index ? band({ ...one, ...change }) : one)));

  test("bands in the wrong order, with gaps, overlaps, or none at all", async () => {
    const [first, second, third] = pages[0]!.bands as [Band, Band, Band];
    await expectRefused(bodyOf([second, first, third]), /row 0 was due/, 0);
    await expectRefused(bodyOf([first, third]), /row 8 was due/, 1);
    await expectRefused(bodyOf([first, blank(4, 8)]), /row 8 was due/, 1);
    await expectRefused(bodyOf([first, second]), /ends at row 16 of 24/, 1);
    await expectRefused(bodyOf([first, second, third, blank(24, 8)]), /do not fit/, 1);
    await expectRefused(new Uint8Array(0), /ends at row 0 of 24/, 0);
    await expectRefused(bodyOf([blank(0, 0)]), /0 rows do not fit/, 0);
    await expectRefused(bodyOf([blank(0, 4_294_967_295)]), /do not fit/, 0);
  });

  test("bands whose fields do not go together", async () => {
    await expectRefused(replaced(0, { data: Uint8Array.of(1) }), /blank band has data/, 0);
    await expectRefused(replaced(0, { encoding: BandEncoding.PNG }), /blank band has data/, 0);
    await expectRefused(replaced(1, { content: BandContent.UNSPECIFIED }), /unknown content 0/, 1);
    await expectRefused(replaced(1, { content: 9 as never }), /unknown content 9/, 1);
    await expectRefused(replaced(1, { encoding: 9 as never }), /unknown encoding 9/, 1);
    await expectRefused(replaced(1, { encoding: BandEncoding.UNSPECIFIED }), /unknown encoding 0/, 1);
  });

  test("a stream that ends within a band, or is none", async () => {
    const body = bodyOf(pages[0]!.bands);
    await expectRefused(body.subarray(0, -1), /ends within a message/, 1);
    await expectRefused(Uint8Array.of(3, 0xff, 0xff, 0xff), /cannot be read/, 0);
    await expectRefused(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0x01), /more than 5 bytes/, 0);
  });

  test("a huge declared length is refused before anything is buffered for it", async () => {
    // 4 GiB less one, and no more bytes: nothing that would wait for them could refuse.
    const declared = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f);
    const hold = (response: ServerResponse) => void response.writeHead(200).write(declared);
    await using rig = await startRig({ pages, intercept: inTurn("/pages/1", hold) });
    const end = last(await rig.print());
    expect(end).toMatchObject({ state: JobState.ABORTED, errorCode: "page-invalid" });
    expect(end.message).toMatch(/declares 4294967295 bytes/);
  });

  test("data of other pixels than the band says", async () => {
    const raw = (widthPx: number, rowsPx: number, channels: 1 | 3 | 4) =>
      sharp(new Uint8Array(widthPx * rowsPx * channels), {
        raw: { width: widthPx, height: rowsPx, channels },
      });
    const grey = (widthPx: number, rowsPx: number) => raw(widthPx, rowsPx, 1).toColourspace("b-w");
    const withData = async (data: Promise<Buffer>, encoding: BandEncoding = BandEncoding.PNG) =>
      replaced(1, { data: await data, encoding });
    await expectRefused(await withData(grey(61, 9).png().toBuffer()), /exceeds pixel limit/, 1);
    await expectRefused(await withData(grey(60, 8).png().toBuffer()), /60 × 8 pixels, not 61 × 8/, 1);
    await expectRefused(await withData(grey(16_000, 16_000).png().toBuffer()), /exceeds pixel limit/, 1);
    await expectRefused(await withData(raw(61, 8, 3).png().toBuffer()), /3 channels, not 1/, 1);
    await expectRefused(await withData(raw(61, 8, 4).png().toBuffer()), /4 channels/, 1);
    await expectRefused(
      await withData(grey(61, 8).png().toBuffer(), BandEncoding.JPEG),
      /not what their encoding says/,
      1,
    );
    await expectRefused(await withData(grey(61, 8).jpeg().toBuffer()), /not what their encoding says/, 1);
    const jpeg = BandEncoding.JPEG;
    await expectRefused(
      await withData(grey(61, 8).jpeg({ progressive: true }).toBuffer(), jpeg),
      /not baseline/,
      1,
    );
    await expectRefused(
      await withData(raw(61, 8, 3).toColourspace("cmyk").jpeg().toBuffer(), jpeg),
      /4 channels, not 1/,
      1,
    );
    await expectRefused(
      await withData(raw(61, 8, 1).toColourspace("grey16").png().toBuffer()),
      /other than 8 bits/,
      1,
    );
    await expectRefused(
      replaced(1, { data: new TextEncoder().encode("<svg/>") }),
      /not what their encoding says/,
      1,
    );
    const whole = await grey(61, 8).jpeg().toBuffer();
    await expectRefused(
      replaced(1, { data: whole.subarray(0, -40), encoding: jpeg }),
      /damaged|cannot be read/,
      1,
    );
    const png = Buffer.from(pages[0]!.bands[1]!.data);
    png[png.length - 30]! ^= 0xff;
    await expectRefused(replaced(1, { data: png }), /damaged/, 1);
  });

  test("more pixels than the controller has memory for, declared honestly", async () => {
    const rowsPx = 6900;
    const data = Uint8Array.of(1);
    const wide: TestPage = {
      widthPx: 4900,
      heightPx: rowsPx,
      rgb: new Uint8Array(0),
      bands: [band({ rowsPx, content: BandContent.COLOR, encoding: BandEncoding.PNG, data })],
    };
    await using rig = await startRig({ pages: [wide], resolutionDpi: 600 });
    const end = last(await rig.print());
    expect(end.errorCode).toBe("page-invalid");
    expect(end.message).toMatch(/101430000 bytes of pixels/);
  });
});
