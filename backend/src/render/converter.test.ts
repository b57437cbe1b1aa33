import { readFile } from "node:fs/promises";
import { BandContent, BandEncoding, PlatenError, PrintColorMode, PrintScaling } from "@platen/proto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PdfPage, pdf } from "../../../e2e/support/pdf.ts";
import { createConverter } from "./converter.ts";
import {
  cornersOf,
  hex,
  never,
  settings,
  TestConverter,
  type TicketInit,
  upright,
} from "./test-converter.ts";
import { type Picture, readBands } from "./test-support.ts";

let made: TestConverter;
beforeAll(async () => {
  made = await TestConverter.open();
});
afterAll(() => made[Symbol.asyncDispose]());

const page = (widthPt: number, heightPt: number, content: string, entries = ""): PdfPage => ({
  widthPt,
  heightPt,
  content,
  entries,
});

/** Squares of 8 points in the corners, as the page is written: red top left, green top right, blue bottom left, black bottom right. */
const corners = (widthPt: number, heightPt: number): string => {
  const square = (rgb: string, x: number, y: number): string => `${rgb} rg ${x} ${y} 8 8 re f`;
  return [
    square("1 0 0", 0, heightPt - 8),
    square("0 1 0", widthPt - 8, heightPt - 8),
    square("0 0 1", 0, 0),
    square("0 0 0", widthPt - 8, 0),
  ].join(" ");
};

describe("bands", () => {
  /** 160 × 400: blank, black at 64 to 96, blank, grey at 160 to 240, blank, red at 320 to 336, blank. */
  const document = pdf([
    page(160, 400, "0 g 16 304 32 32 re f 0.5 g 16 160 128 80 re f 1 0 0 rg 80 64 16 16 re f"),
  ]);

  const bandsOf = async (ticket: TicketInit) => {
    await using open = await made.converter.open(
      await made.fileOf(document),
      "application/pdf",
      settings(160, 400, ticket),
      never,
    );
    for await (const converted of open.convert([1], never)) {
      return { converted, bands: await readBands(converted) };
    }
    throw new Error("no page");
  };
  const { BLANK, GREY, COLOR } = BandContent;

  it("are blank, grey or in colour by their pixels, and cover the side", async () => {
    const { converted, bands } = await bandsOf({});
    expect(bands.map(({ yPx, rowsPx, content }) => [yPx, rowsPx, content])).toEqual([
      [0, 64, BLANK],
      [64, 32, GREY],
      [96, 64, BLANK],
      [160, 80, GREY],
      [240, 80, BLANK],
      [320, 16, COLOR],
      [336, 64, BLANK],
    ]);
    expect(bands.every(({ content, data }) => (content === BLANK) === (data.length === 0))).toBe(true);
    expect(converted).toMatchObject({ pageNumber: 1, blankBands: 4, greyBands: 2, colorBands: 1 });
    expect(converted.sizeBytes).toBeGreaterThan(bands.reduce((sum, { data }) => sum + data.length, 0));
  });

  it("hold exactly what is drawn, where there are only edges", async () => {
    const [picture] = await made.convert(document, settings(160, 400));
    const at = (x: number, y: number) => hex(picture, x, y);
    expect([at(16, 64), at(47, 95), at(48, 64), at(16, 96)]).toEqual([
      "000000",
      "000000",
      "ffffff",
      "ffffff",
    ]);
    expect([at(16, 160), at(143, 239)]).toEqual(["808080", "808080"]);
    expect([at(80, 320), at(95, 335), at(96, 320)]).toEqual(["ff0000", "ff0000", "ffffff"]);
  });

  it("of a monochrome job are grey: red is as dark as its luminance", async () => {
    const { converted } = await bandsOf({ printColorMode: PrintColorMode.MONOCHROME });
    expect(converted).toMatchObject({ blankBands: 4, greyBands: 3, colorBands: 0 });
    const [picture] = await made.convert(
      document,
      settings(160, 400, { printColorMode: PrintColorMode.MONOCHROME }),
    );
    expect(hex(picture, 88, 328)).toBe("7f7f7f");
  });

  it("of an empty page are one, blank", async () => {
    await using open = await made.converter.open(
      await made.fileOf(pdf([page(100, 100, "")])),
      "application/pdf",
      settings(100, 100),
      never,
    );
    for await (const converted of open.convert([1], never)) {
      expect(await readBands(converted)).toMatchObject([{ yPx: 0, rowsPx: 100, content: BLANK }]);
    }
  });
});

describe("pages of a PDF", () => {
  it("are as large as the media at the resolution asked for", async () => {
    const document = pdf([page(72, 144, corners(72, 144))]);
    const [picture] = await made.convert(document, settings(72, 144, { printerResolutionDpi: 300 }));
    expect([picture?.widthPx, picture?.heightPx]).toEqual([300, 600]);
    expect(cornersOf(picture)).toEqual(upright);
  });

  it("are turned as /Rotate says, and cropped as /CropBox says", async () => {
    const rotated = pdf([page(48, 96, corners(48, 96), "/Rotate 90")]);
    const [turned] = await made.convert(rotated, settings(96, 48));
    // Clockwise: what was bottom left is top left.
    expect(cornersOf(turned)).toEqual(["0000ff", "ff0000", "000000", "00ff00"]);
    const cropped = pdf([
      page(96, 96, `${corners(96, 96)} 1 0 0 rg 40 48 8 8 re f`, "/CropBox [40 16 80 56]"),
    ]);
    const [crop] = await made.convert(cropped, settings(40, 40));
    expect(cornersOf(crop)).toEqual(["ff0000", "ffffff", "ffffff", "ffffff"]);
  });

  it("that are landscape lie on portrait media turned counter-clockwise", async () => {
    const [picture] = await made.convert(pdf([page(96, 48, corners(96, 48))]), settings(48, 96));
    expect(cornersOf(picture)).toEqual(["00ff00", "000000", "ff0000", "0000ff"]);
  });

  it("are scaled as print-scaling says", async () => {
    const document = pdf([page(40, 40, corners(40, 40))]);
    const [fit] = await made.convert(document, settings(80, 80, { printScaling: PrintScaling.FIT }));
    expect(cornersOf(fit)).toEqual(upright);
    const [none] = await made.convert(document, settings(80, 80, { printScaling: PrintScaling.NONE }));
    expect(cornersOf(none)).toEqual(["ffffff", "ffffff", "ffffff", "ffffff"]);
    expect([hex(none, 24, 24), hex(none, 55, 55)]).toEqual(["ff0000", "000000"]);
  });

  it("are put two on a side, each in its half, upright", async () => {
    const pages = ["1 0 0", "0 0 1", "0 1 0"].map((rgb) => page(96, 48, `${rgb} rg 0 0 96 24 re f`));
    const [first, second] = await made.convert(pdf(pages), settings(48, 96, { numberUp: 2 }));
    // Each is 48 × 24 now, in the middle of its half, and coloured in its lower half.
    const column = (picture: Picture | undefined) => [18, 30, 66, 78].map((y) => hex(picture, 24, y));
    expect(column(first)).toEqual(["ffffff", "ff0000", "ffffff", "0000ff"]);
    expect(column(second)).toEqual(["ffffff", "00ff00", "ffffff", "ffffff"]);
  });

  it("are those of page-ranges, and none beyond the end", async () => {
    const document = pdf(["1 0 0", "0 1 0", "0 0 1"].map((rgb) => page(48, 48, `${rgb} rg 0 0 48 48 re f`)));
    const pictures = await made.convert(
      document,
      settings(48, 48, { pageRanges: [{ firstPage: 2, lastPage: 9 }] }),
    );
    expect(pictures.map((picture) => hex(picture, 24, 24))).toEqual(["00ff00", "0000ff"]);
    const none = settings(48, 48, { pageRanges: [{ firstPage: 4, lastPage: 9 }] });
    await expect(made.convert(document, none)).rejects.toMatchObject({
      code: "ticket-invalid",
      message: "page-ranges 4-9 selects nothing: the document has 3 pages",
    });
  });

  it("show text also in fonts that are not embedded, from the standard ones and others", async () => {
    const text = (font: string): Uint8Array =>
      pdf([
        page(
          200,
          48,
          "BT /F2 24 Tf 8 12 Td (Platen) Tj ET",
          `/Resources << /Font << /F2 << /Type /Font /Subtype /TrueType /BaseFont /${font} /Encoding /WinAnsiEncoding ` +
            `/FirstChar 32 /LastChar 126 /Widths [${"600 ".repeat(95)}] ` +
            `/FontDescriptor << /Type /FontDescriptor /FontName /${font} /Flags 32 >> >> >> >>`,
        ),
      ]);
    for (const font of ["Helvetica", "NoSuchFont"]) {
      const [picture] = await made.convert(text(font), settings(200, 48));
      const dark = picture?.rgb.filter((byte) => byte < 128).length ?? 0;
      expect(dark, font).toBeGreaterThan(300);
    }
  });

  it("keep black ink black, its tints grey and paper white, in DeviceCMYK and in profiles of version 2", async () => {
    const fields = ["0 0 0 1", "0 0 0 0.5", "0 0 0 0", "0.6 0.4 0.4 1"];
    const paint = (op: string): string =>
      fields.map((cmyk, i) => `${cmyk} ${op} ${i * 16} 0 16 16 re f`).join(" ");
    const [device] = await made.convert(pdf([page(64, 16, paint("k"))]), settings(64, 16));
    const grey = hex(device, 24, 8);
    expect(grey).toMatch(/^(..)\1\1$/);
    expect([8, 24, 40, 56].map((x) => hex(device, x, 8))).toEqual(["000000", grey, "ffffff", "000000"]);

    const profile = await readFile(
      new URL("iccs/CGATS001Compat-v2-micro.icc", import.meta.resolve("pdfjs-dist/package.json")),
    );
    const icc = [
      "/Resources << /ColorSpace << /Press [/ICCBased 99 0 R] >> >>",
      `99 0 obj << /N 4 /Length ${profile.length * 2} /Filter /ASCIIHexDecode >>`,
      `stream\n${profile.toString("hex")}\nendstream endobj`,
    ] as const;
    const document = Buffer.from(
      pdf([page(64, 16, `/Press cs ${paint("sc")}`, icc[0])])
        .toString("latin1")
        .replace("xref\n", `${icc[1]}\n${icc[2]}\nxref\n`),
      "latin1",
    );
    const [press] = await made.convert(document, settings(64, 16));
    expect(hex(press, 40, 8)).toBe("ffffff");
    expect(hex(press, 8, 8)).not.toBe("000000");
  });

  it("come out the same in strips as in one piece", async () => {
    const content = `${corners(160, 400)} 0.2 0.4 0.8 RG 5 w 10 10 m 150 390 l S BT /F1 90 Tf 10 150 Td (Aq) Tj ET`;
    const document = pdf([page(160, 400, content), page(400, 160, corners(400, 160))]);
    await using strips = createConverter({ workers: 1, tempDir: made.tempDir, maxCanvasPixels: 160 * 48 });
    for (const numberUp of [1, 2]) {
      const to = settings(160, 400, { numberUp, printColorMode: PrintColorMode.COLOR });
      const [whole, cut] = [
        await made.convert(document, to),
        await made.convert(document, to, { by: strips }),
      ];
      expect(cut.map(({ rgb }) => rgb.length)).toEqual(whole.map(({ rgb }) => rgb.length));
      for (const [i, { rgb }] of whole.entries()) {
        const steps = rgb.map((byte, at) => Math.abs(byte - cut[i]!.rgb[at]!)).filter((step) => step !== 0);
        // Skia covers the edge of a path a little differently where a strip cuts the path.
        expect(Math.max(0, ...steps)).toBeLessThan(64);
        expect(steps.length).toBeLessThan(rgb.length / 50);
      }
    }
  });
});

describe("documents that cannot be converted", () => {
  const to = settings(72, 72);
  const refusal = async (document: Uint8Array): Promise<string> =>
    made.convert(document, to).then(
      () => "converted",
      (error: unknown) => (error instanceof PlatenError ? error.code : String(error)),
    );

  it("are damaged: empty, no PDF at all, without pages, cut off", async () => {
    const whole = pdf([page(72, 72, corners(72, 72))]);
    expect(await refusal(Buffer.of())).toBe("document-damaged");
    expect(await refusal(Buffer.from("a letter to my aunt\n".repeat(100)))).toBe("document-damaged");
    expect(await refusal(pdf([]))).toBe("document-damaged");
    expect(await refusal(whole.subarray(0, 60))).toBe("document-damaged");
  });

  it("need a password", async () => {
    const key = `<${"5a".repeat(32)}>`;
    const encrypt = `/Encrypt << /Filter /Standard /V 1 /R 2 /O ${key} /U ${key} /P -4 >> /ID [${key} ${key}]`;
    expect(await refusal(pdf([page(72, 72, "")], encrypt))).toBe("document-password");
  });

  it("are larger than this system renders", async () => {
    await using small = createConverter({
      workers: 1,
      tempDir: made.tempDir,
      maxImpressionPixels: 72 * 72 - 1,
    });
    const open = small.open(await made.fileOf(pdf([page(72, 72, "")])), "application/pdf", to, never);
    await expect(open).rejects.toMatchObject({ code: "document-too-large" });
  });

  it("print when only a part of a page cannot be read", async () => {
    const broken = page(72, 72, `${corners(72, 72)} /NoSuchImage Do (unclosed Tj 12 bogus`);
    const [picture] = await made.convert(pdf([broken]), to);
    expect(cornersOf(picture)).toEqual(upright);
  });
});

it("uses PNG and JPEG, as the pages want", async () => {
  const shading = page(
    128,
    256,
    "q 0 128 128 128 re W n 128 0 0 128 0 128 cm /S sh Q 0 g 8 8 40 40 re f",
    "/Resources << /Shading << /S << /ShadingType 2 /ColorSpace /DeviceRGB /Coords [0 0 1 1] " +
      "/Function << /FunctionType 2 /Domain [0 1] /C0 [1 0 0] /C1 [0 0 1] /N 1 >> >> >> >>",
  );
  await using open = await made.converter.open(
    await made.fileOf(pdf([shading])),
    "application/pdf",
    settings(128, 256),
    never,
  );
  for await (const converted of open.convert([1], never)) {
    const inked = (await readBands(converted)).filter(({ content }) => content !== BandContent.BLANK);
    expect(inked.map(({ content, encoding }) => [content, encoding])).toEqual([
      [BandContent.COLOR, BandEncoding.JPEG],
      [BandContent.GREY, BandEncoding.PNG],
    ]);
  }
});
