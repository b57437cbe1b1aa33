import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  JobErrorAction,
  JobTicketSchema,
  Orientation,
  PresentationDirection,
  PrintColorMode,
  type PrinterCapabilities,
  PrinterCapabilitiesSchema,
  PrintContentOptimize,
  PrintQuality,
  PrintScaling,
  SheetBack,
  SheetCollate,
  Sides,
} from "@platen/proto";
import { describe, expect, it } from "vitest";
import { resolveTicket, validateTicket } from "./ticket.ts";

const ticket = (init: MessageInitShape<typeof JobTicketSchema> = {}) => create(JobTicketSchema, init);

const printer = (init: MessageInitShape<typeof PrinterCapabilitiesSchema> = {}): PrinterCapabilities =>
  create(PrinterCapabilitiesSchema, {
    colorSupported: true,
    resolutionsDpi: [300, 600, 1200],
    resolutionDefaultDpi: 600,
    mediaSupported: ["iso_a4_210x297mm", "na_letter_8.5x11in"],
    mediaDefault: "iso_a4_210x297mm",
    sidesSupported: [Sides.ONE_SIDED, Sides.TWO_SIDED_LONG_EDGE],
    sheetBack: SheetBack.ROTATED,
    marginTopUm: 4200,
    marginBottomUm: 4300,
    marginLeftUm: 4400,
    marginRightUm: 4500,
    ...init,
  });

describe("validateTicket", () => {
  it("takes an empty ticket, and one that asks for everything", () => {
    validateTicket(ticket());
    validateTicket(
      ticket({
        copies: 999,
        sheetCollate: SheetCollate.UNCOLLATED,
        pageRanges: [
          { firstPage: 1, lastPage: 1 },
          { firstPage: 2, lastPage: 5 },
          { firstPage: 9, lastPage: 4_294_967_295 },
        ],
        sides: Sides.TWO_SIDED_SHORT_EDGE,
        media: "custom_card_100x150mm",
        orientationRequested: Orientation.REVERSE_PORTRAIT,
        printScaling: PrintScaling.NONE,
        printerResolutionDpi: 1200,
        printQuality: PrintQuality.HIGH,
        printColorMode: PrintColorMode.MONOCHROME,
        printContentOptimize: PrintContentOptimize.PHOTO,
        numberUp: 16,
        presentationDirectionNumberUp: PresentationDirection.TOTOP_TOLEFT,
        jobErrorAction: JobErrorAction.CANCEL_JOB,
      }),
    );
  });

  it.each([
    ["copies 1000", { copies: 1000 }],
    ["sheet-collate 3", { sheetCollate: 3 }],
    ["sides 4", { sides: 4 }],
    ["orientation-requested 2", { orientationRequested: 2 }],
    ["print-scaling 6", { printScaling: 6 }],
    ["print-quality 1", { printQuality: 1 }],
    ["print-color-mode 4", { printColorMode: 4 }],
    ["print-content-optimize 6", { printContentOptimize: 6 }],
    ["presentation-direction-number-up 9", { presentationDirectionNumberUp: 9 }],
    ["job-error-action 7", { jobErrorAction: 7 }],
    ["number-up 3", { numberUp: 3 }],
    ["number-up 5", { numberUp: 5 }],
    ["printer-resolution 601", { printerResolutionDpi: 601 }],
    ['media "a4"', { media: "a4" }],
    ["page-ranges 0-3", { pageRanges: [{ firstPage: 0, lastPage: 3 }] }],
    ["page-ranges 5-4", { pageRanges: [{ firstPage: 5, lastPage: 4 }] }],
    [
      "page-ranges 3-8",
      {
        pageRanges: [
          { firstPage: 1, lastPage: 3 },
          { firstPage: 3, lastPage: 8 },
        ],
      },
    ],
    [
      "page-ranges 1-2",
      {
        pageRanges: [
          { firstPage: 4, lastPage: 5 },
          { firstPage: 1, lastPage: 2 },
        ],
      },
    ],
  ])("refuses %s by name and value", (text, init) => {
    expect(() => validateTicket(ticket(init as MessageInitShape<typeof JobTicketSchema>))).toThrow(
      expect.objectContaining({ code: "ticket-invalid", message: expect.stringContaining(text) }),
    );
  });

  it("says which values there are", () => {
    expect(() => validateTicket(ticket({ sides: 9 as Sides }))).toThrow(
      "sides 9 means nothing: use one of one-sided, two-sided-long-edge, two-sided-short-edge",
    );
  });
});

describe("resolveTicket", () => {
  it("fills in every default of an empty ticket", () => {
    const settings = resolveTicket(ticket(), printer(), "report.pdf");
    expect(settings).toMatchObject({
      mediaWidthUm: 210_000,
      mediaHeightUm: 297_000,
      marginTopUm: 4200,
      marginBottomUm: 4300,
      marginLeftUm: 4400,
      marginRightUm: 4500,
      sheetBack: SheetBack.ROTATED,
      jobName: "report.pdf",
    });
    expect(settings.ticket).toMatchObject({
      copies: 1,
      sheetCollate: SheetCollate.COLLATED,
      pageRanges: [],
      sides: Sides.ONE_SIDED,
      media: "iso_a4_210x297mm",
      orientationRequested: Orientation.NONE,
      printScaling: PrintScaling.AUTO,
      printerResolutionDpi: 600,
      printQuality: PrintQuality.NORMAL,
      printColorMode: PrintColorMode.COLOR,
      printContentOptimize: PrintContentOptimize.AUTO,
      numberUp: 1,
      presentationDirectionNumberUp: PresentationDirection.TORIGHT_TOBOTTOM,
      jobErrorAction: JobErrorAction.SUSPEND_JOB,
    });
  });

  it("keeps what was asked for", () => {
    const asked = ticket({
      copies: 3,
      sheetCollate: SheetCollate.UNCOLLATED,
      pageRanges: [{ firstPage: 2, lastPage: 3 }],
      sides: Sides.TWO_SIDED_LONG_EDGE,
      media: "na_letter_8.5x11in",
      orientationRequested: Orientation.LANDSCAPE,
      printScaling: PrintScaling.FILL,
      printerResolutionDpi: 300,
      printQuality: PrintQuality.HIGH,
      printColorMode: PrintColorMode.MONOCHROME,
      printContentOptimize: PrintContentOptimize.GRAPHIC,
      numberUp: 4,
      presentationDirectionNumberUp: PresentationDirection.TOLEFT_TOTOP,
      jobErrorAction: JobErrorAction.CANCEL_JOB,
    });
    const settings = resolveTicket(asked, printer(), "");
    expect(settings.ticket).toEqual(asked);
    expect(settings.mediaWidthUm).toBe(215_900);
  });

  it("refuses an invalid ticket before it looks at the printer", () => {
    expect(() => resolveTicket(ticket({ copies: 1000 }), printer(), "")).toThrow(
      expect.objectContaining({ code: "ticket-invalid" }),
    );
  });

  it.each([
    [PrintQuality.DRAFT, 300],
    [PrintQuality.NORMAL, 600],
    [PrintQuality.HIGH, 1200],
  ])("print-quality %i chooses %i dpi where none is asked for", (printQuality, dpi) => {
    expect(resolveTicket(ticket({ printQuality }), printer(), "").ticket?.printerResolutionDpi).toBe(dpi);
    const asked = ticket({ printQuality, printerResolutionDpi: 600 });
    expect(resolveTicket(asked, printer(), "").ticket?.printerResolutionDpi).toBe(600);
  });

  it("prints monochrome on a printer without colour, unless colour is asked for", () => {
    const mono = printer({ colorSupported: false });
    expect(resolveTicket(ticket(), mono, "").ticket?.printColorMode).toBe(PrintColorMode.MONOCHROME);
    expect(() => resolveTicket(ticket({ printColorMode: PrintColorMode.COLOR }), mono, "")).toThrow(
      "print-color-mode color is not supported by this printer, which supports auto, monochrome",
    );
  });

  it("takes custom media within the printer's bounds only", () => {
    const custom = printer({ mediaCustomMaxWidthUm: 150_000, mediaCustomMaxHeightUm: 200_000 });
    const media = "custom_card_100x150mm";
    expect(resolveTicket(ticket({ media }), custom, "")).toMatchObject({
      mediaWidthUm: 100_000,
      mediaHeightUm: 150_000,
    });
    expect(() => resolveTicket(ticket({ media: "custom_x_151x150mm" }), custom, "")).toThrow(
      "media custom_x_151x150mm is not supported by this printer, which supports iso_a4_210x297mm, na_letter_8.5x11in, custom sizes up to 150x200mm",
    );
    expect(() => resolveTicket(ticket({ media }), printer(), "")).toThrow("media custom_card_100x150mm");
  });

  it.each([
    ["media iso_a3_297x420mm", { media: "iso_a3_297x420mm" }, {}],
    ["sides two-sided-short-edge", { sides: Sides.TWO_SIDED_SHORT_EDGE }, {}],
    ["sides two-sided-long-edge", { sides: Sides.TWO_SIDED_LONG_EDGE }, { sidesSupported: [] }],
    ["printer-resolution 1200dpi", { printerResolutionDpi: 1200 }, { resolutionsDpi: [300, 600] }],
    ["media custom_x_5x100mm", { media: "custom_x_5x100mm" }, { mediaSupported: ["custom_x_5x100mm"] }],
  ])("refuses %s where the printer cannot, by name and value", (text, asked, can) => {
    expect(() => resolveTicket(ticket(asked), printer(can), "")).toThrow(
      expect.objectContaining({
        code: "ticket-unsupported",
        message: expect.stringMatching(new RegExp(`^${text.replaceAll(".", "\\.")} is not supported`)),
      }),
    );
  });
});
