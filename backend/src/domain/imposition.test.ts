import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type ConversionSettings,
  ConversionSettingsSchema,
  JobTicketSchema,
  Orientation,
  PresentationDirection,
  PrintScaling,
  SheetBack,
  Sides,
} from "@platen/proto";
import { describe, expect, it } from "vitest";
import { type ImposedSide, type InputPage, impose, type Placement } from "./imposition.ts";

type TicketInit = MessageInitShape<typeof JobTicketSchema>;
type SettingsInit = MessageInitShape<typeof ConversionSettingsSchema>;

/** A portrait sheet of 72 × 144 pixels at 72 dpi, where a point is a pixel, without margins. */
const settings = (ticket: TicketInit = {}, init: SettingsInit = {}): ConversionSettings =>
  create(ConversionSettingsSchema, {
    mediaWidthUm: 25_400,
    mediaHeightUm: 50_800,
    sheetBack: SheetBack.NORMAL,
    ticket: create(JobTicketSchema, {
      copies: 1,
      sides: Sides.ONE_SIDED,
      orientationRequested: Orientation.NONE,
      printScaling: PrintScaling.AUTO,
      printerResolutionDpi: 72,
      numberUp: 1,
      presentationDirectionNumberUp: PresentationDirection.TORIGHT_TOBOTTOM,
      ...ticket,
    }),
    ...init,
  });

/** Margins of 10 pixels at the top, 20 at the bottom, 4 at the left, 8 at the right. */
const um = (px: number): number => Math.round((px / 72) * 25_400);
const margins = { marginTopUm: um(10), marginBottomUm: um(20), marginLeftUm: um(4), marginRightUm: um(8) };
const printable = { x: 4, y: 10, width: 60, height: 114 };

const page = (widthPt: number, heightPt: number, pageNumber = 1): InputPage => ({
  pageNumber,
  widthPt,
  heightPt,
});
const pages = (count: number, widthPt = 72, heightPt = 144): InputPage[] =>
  Array.from({ length: count }, (_, i) => page(widthPt, heightPt, i + 1));

const only = (sides: readonly ImposedSide[]): Placement => {
  const placement = sides[0]?.placements[0];
  if (!placement || sides.length !== 1 || sides[0]?.placements.length !== 1) throw new Error("not one page");
  return placement;
};

/** Where the page's corners land, top left first, clockwise. */
const corners = ({ matrix: [a, b, c, d, e, f] }: Placement, { widthPt: w, heightPt: h }: InputPage) =>
  [
    [0, 0],
    [w, 0],
    [w, h],
    [0, h],
  ].map(([x = 0, y = 0]) => [a * x + c * y + e, b * x + d * y + f].map((v) => Math.round(v * 1e6) / 1e6 + 0));

describe("sides", () => {
  it("have the size of the media at the resolution, rounded to whole pixels", () => {
    const a4 = settings({ printerResolutionDpi: 600 }, { mediaWidthUm: 210_000, mediaHeightUm: 297_000 });
    expect(impose([page(595, 842)], a4)).toMatchObject([{ pageNumber: 1, widthPx: 4961, heightPx: 7016 }]);
  });

  it("are as many as pages, or as number-up leaves", () => {
    expect(impose(pages(5), settings())).toHaveLength(5);
    expect(impose(pages(5), settings({ numberUp: 2 })).map((side) => side.placements.length)).toEqual([
      2, 2, 1,
    ]);
    expect(impose(pages(3), settings({ sides: Sides.TWO_SIDED_LONG_EDGE }))).toHaveLength(3);
  });

  it("name the input pages that were selected", () => {
    const sides = impose([page(72, 144, 4), page(72, 144, 9)], settings());
    expect(sides.map((side) => side.placements[0]?.inputPage)).toEqual([4, 9]);
    expect(sides.map((side) => side.pageNumber)).toEqual([1, 2]);
  });
});

describe("print-scaling", () => {
  const place = (scaling: PrintScaling, input: InputPage, init: SettingsInit = margins) =>
    only(impose([input], settings({ printScaling: scaling }, init)));

  it("none: one to one, centred on the media, cropped by media and margins", () => {
    const small = place(PrintScaling.NONE, page(36, 72));
    expect(small.matrix).toEqual([1, 0, 0, 1, 18, 36]);
    expect(small.clip).toEqual({ x: 18, y: 36, width: 36, height: 72 });
    const large = place(PrintScaling.NONE, page(144, 288));
    expect(large.matrix).toEqual([1, 0, 0, 1, -36, -72]);
    expect(large.clip).toEqual(printable);
  });

  it("fit: scaled to the printable area, up and down, nothing cropped", () => {
    // 60 / 30 = 2 is less than 114 / 38 = 3: as wide as the printable area, centred in its height.
    const up = place(PrintScaling.FIT, page(30, 38));
    expect(up.matrix).toEqual([2, 0, 0, 2, 4, 10 + (114 - 76) / 2]);
    expect(up.clip).toEqual({ x: 4, y: 29, width: 60, height: 76 });
    const down = place(PrintScaling.FIT, page(120, 228));
    expect(down.matrix).toEqual([0.5, 0, 0, 0.5, 4, 10]);
    expect(down.clip).toEqual(printable);
  });

  it("fill: scaled to cover the media, what stands out cropped", () => {
    const filled = place(PrintScaling.FILL, page(36, 36), {});
    expect(filled.matrix).toEqual([4, 0, 0, 4, -36, 0]);
    expect(filled.clip).toEqual({ x: 0, y: 0, width: 72, height: 144 });
  });

  it("auto: a page larger than the media is fitted where there are margins, and fills where there are none", () => {
    const large = page(144, 288);
    expect(place(PrintScaling.AUTO, large).matrix).toEqual(place(PrintScaling.FIT, large).matrix);
    const wide = page(144, 216);
    expect(place(PrintScaling.AUTO, wide, {}).matrix).toEqual(place(PrintScaling.FILL, wide, {}).matrix);
  });

  it("auto and auto-fit: a page that is not larger stays as it is", () => {
    for (const scaling of [PrintScaling.AUTO, PrintScaling.AUTO_FIT]) {
      expect(place(scaling, page(36, 72)).matrix).toEqual([1, 0, 0, 1, 18, 36]);
      expect(place(scaling, page(72, 144)).matrix).toEqual([1, 0, 0, 1, 0, 0]);
    }
  });

  it("auto-fit: a page larger than the media is fitted, with or without margins", () => {
    const wide = page(144, 216);
    for (const init of [margins, {}]) {
      expect(place(PrintScaling.AUTO_FIT, wide, init).matrix).toEqual(
        place(PrintScaling.FIT, wide, init).matrix,
      );
    }
  });

  it("takes a page for the size of the media when they differ by less than 3 points", () => {
    expect(place(PrintScaling.AUTO, page(74.9, 144)).matrix[0]).toBe(1);
    expect(place(PrintScaling.AUTO, page(75.1, 144)).matrix[0]).toBeLessThan(1);
  });
});

describe("orientation-requested", () => {
  const portrait = page(72, 144);
  const landscape = page(144, 72);
  const place = (orientationRequested: Orientation, input: InputPage) =>
    corners(only(impose([input], settings({ orientationRequested }))), input);

  const upright = [
    [0, 0],
    [72, 0],
    [72, 144],
    [0, 144],
  ];
  const counterClockwise = [
    [0, 144],
    [0, 0],
    [72, 0],
    [72, 144],
  ];

  it("unspecified: a landscape page is turned counter-clockwise onto portrait media, a portrait page is not", () => {
    expect(place(Orientation.NONE, portrait)).toEqual(upright);
    expect(place(Orientation.NONE, landscape)).toEqual(counterClockwise);
  });

  it("unspecified: a portrait page is turned onto landscape media", () => {
    const wide = settings({}, { mediaWidthUm: 50_800, mediaHeightUm: 25_400 });
    expect(corners(only(impose([portrait], wide)), portrait)).toEqual([
      [0, 72],
      [0, 0],
      [144, 0],
      [144, 72],
    ]);
  });

  it("portrait: not turned, whatever the page", () => {
    expect(place(Orientation.PORTRAIT, portrait)).toEqual(upright);
    // Larger than the media and no margins: fills.
    expect(place(Orientation.PORTRAIT, landscape)).toEqual([
      [-108, 0],
      [180, 0],
      [180, 144],
      [-108, 144],
    ]);
  });

  it("landscape: turned by 90 degrees counter-clockwise", () => {
    expect(place(Orientation.LANDSCAPE, landscape)).toEqual(counterClockwise);
  });

  it("reverse-landscape: turned by 90 degrees clockwise", () => {
    expect(place(Orientation.REVERSE_LANDSCAPE, landscape)).toEqual([
      [72, 0],
      [72, 144],
      [0, 144],
      [0, 0],
    ]);
  });

  it("reverse-portrait: turned by 180 degrees", () => {
    expect(place(Orientation.REVERSE_PORTRAIT, portrait)).toEqual([
      [72, 144],
      [0, 144],
      [0, 0],
      [72, 0],
    ]);
  });

  it("keeps the margins of the sheet where they are when the page is turned", () => {
    const turned = settings({ orientationRequested: Orientation.LANDSCAPE }, margins);
    const input = page(228, 120);
    const placement = only(impose([input], turned));
    // The frame is 144 × 72, its printable area 114 × 60: half size.
    expect(corners(placement, input)).toEqual([
      [4, 124],
      [4, 10],
      [64, 10],
      [64, 124],
    ]);
    expect(placement.clip).toEqual(printable);
  });
});

describe("number-up", () => {
  const layout = (ticket: TicketInit, input: readonly InputPage[], init: SettingsInit = {}) =>
    impose(input, settings(ticket, init)).flatMap((side) =>
      side.placements.map((placement) => placement.clip),
    );

  it("2: two portrait pages side by side on a sheet that is turned", () => {
    // Media of 72 × 108: the frame is 108 × 72, a cell 54 × 72, a page in it 48 × 72.
    const twoUp = settings({ numberUp: 2 }, { mediaHeightUm: 38_100 });
    const [one, two] = impose(pages(2, 72, 108), twoUp)[0]?.placements ?? [];
    expect(corners(one as Placement, page(72, 108))).toEqual([
      [0, 105],
      [0, 57],
      [72, 57],
      [72, 105],
    ]);
    expect(corners(two as Placement, page(72, 108))).toEqual([
      [0, 51],
      [0, 3],
      [72, 3],
      [72, 51],
    ]);
  });

  it("2: two landscape pages one below the other on an upright sheet", () => {
    expect(layout({ numberUp: 2 }, pages(2, 144, 72))).toEqual([
      { x: 0, y: 18, width: 72, height: 36 },
      { x: 0, y: 90, width: 72, height: 36 },
    ]);
  });

  it.each([
    [4, 2, 2],
    [9, 3, 3],
    [16, 4, 4],
  ])("%i: rows and columns of the sheet's own shape", (numberUp, columns, rows) => {
    const clips = layout({ numberUp }, pages(numberUp));
    expect(clips).toEqual(
      Array.from({ length: numberUp }, (_, i) => ({
        x: (i % columns) * (72 / columns),
        y: Math.floor(i / columns) * (144 / rows),
        width: 72 / columns,
        height: 144 / rows,
      })),
    );
  });

  it("6: turned, three across, where that shows the pages larger", () => {
    const a4 = settings({ numberUp: 6 }, { mediaWidthUm: 210_000, mediaHeightUm: 297_000 });
    const side = impose(pages(6, 595, 842), a4)[0];
    expect(side?.placements.map(({ matrix: [a, b, c, d] }) => [a, b < 0, c > 0, d])).toEqual(
      Array.from({ length: 6 }, () => [0, true, true, 0]),
    );
    // The first three pages lie in the column at the left of the upright sheet, from bottom to top.
    expect(side?.placements.map(({ clip }) => [clip.x < 297, Math.floor(clip.y / 280)])).toEqual([
      [true, 2],
      [true, 1],
      [true, 0],
      [false, 2],
      [false, 1],
      [false, 0],
    ]);
  });

  it.each([
    ["toright-tobottom", PresentationDirection.TORIGHT_TOBOTTOM, [1, 2, 3, 4]],
    ["toleft-tobottom", PresentationDirection.TOLEFT_TOBOTTOM, [2, 1, 4, 3]],
    ["toright-totop", PresentationDirection.TORIGHT_TOTOP, [3, 4, 1, 2]],
    ["toleft-totop", PresentationDirection.TOLEFT_TOTOP, [4, 3, 2, 1]],
    ["tobottom-toright", PresentationDirection.TOBOTTOM_TORIGHT, [1, 3, 2, 4]],
    ["tobottom-toleft", PresentationDirection.TOBOTTOM_TOLEFT, [3, 1, 4, 2]],
    ["totop-toright", PresentationDirection.TOTOP_TORIGHT, [2, 4, 1, 3]],
    ["totop-toleft", PresentationDirection.TOTOP_TOLEFT, [4, 2, 3, 1]],
  ])("presentation-direction-number-up %s", (_name, presentationDirectionNumberUp, expected) => {
    const side = impose(pages(4), settings({ numberUp: 4, presentationDirectionNumberUp }))[0];
    const inReadingOrder = [...(side?.placements ?? [])].sort(
      (one, two) => one.clip.y - two.clip.y || one.clip.x - two.clip.x,
    );
    expect(inReadingOrder.map(({ inputPage }) => inputPage)).toEqual(expected);
  });

  it("lays the cells within the margins", () => {
    const clips = layout({ numberUp: 4 }, pages(4), margins);
    // Cells of 30 × 57, a page of 1:2 in it 28.5 × 57, centred, and in whole pixels.
    expect(clips[0]).toEqual({ x: 4, y: 10, width: 30, height: 57 });
    for (const { x, y, width, height } of clips) {
      expect(x).toBeGreaterThanOrEqual(printable.x);
      expect(y).toBeGreaterThanOrEqual(printable.y);
      expect(x + width).toBeLessThanOrEqual(printable.x + printable.width);
      expect(y + height).toBeLessThanOrEqual(printable.y + printable.height);
    }
  });

  it("print-scaling says how a page lies on its own small sheet", () => {
    const half = page(36, 72);
    const [none] = layout({ numberUp: 4, printScaling: PrintScaling.NONE }, [half]);
    expect(none).toEqual({ x: 9, y: 18, width: 18, height: 36 });
    const [fit] = layout({ numberUp: 4, printScaling: PrintScaling.FIT }, [half]);
    expect(fit).toEqual({ x: 0, y: 0, width: 36, height: 72 });
    const [cropped] = layout({ numberUp: 4, printScaling: PrintScaling.NONE }, [page(720, 720)]);
    expect(cropped).toEqual({ x: 0, y: 0, width: 36, height: 72 });
  });
});

describe("sides and sheet-back", () => {
  const backs = (sides: Sides, sheetBack: SheetBack) =>
    impose(pages(3), settings({ sides }, { sheetBack })).map((side) => side.placements[0]?.matrix[0] === -1);

  it.each([
    [Sides.ONE_SIDED, SheetBack.ROTATED, false],
    [Sides.TWO_SIDED_LONG_EDGE, SheetBack.NORMAL, false],
    [Sides.TWO_SIDED_SHORT_EDGE, SheetBack.NORMAL, false],
    [Sides.TWO_SIDED_LONG_EDGE, SheetBack.ROTATED, true],
    [Sides.TWO_SIDED_SHORT_EDGE, SheetBack.ROTATED, false],
    [Sides.TWO_SIDED_LONG_EDGE, SheetBack.MANUAL_TUMBLE, false],
    [Sides.TWO_SIDED_SHORT_EDGE, SheetBack.MANUAL_TUMBLE, true],
  ])("sides %i, sheet-back %i: backs turned by 180 degrees: %s", (sides, sheetBack, turned) => {
    expect(backs(sides, sheetBack)).toEqual([false, turned, false]);
  });

  it("a turned back keeps the margins of the sheet, and turns what the page shows", () => {
    const [, back] = impose(
      pages(2, 60, 114),
      settings(
        { sides: Sides.TWO_SIDED_LONG_EDGE, printScaling: PrintScaling.FIT },
        { ...margins, sheetBack: SheetBack.ROTATED },
      ),
    );
    expect(back?.placements[0]?.clip).toEqual(printable);
    expect(corners(back?.placements[0] as Placement, page(60, 114))[0]).toEqual([64, 124]);
  });

  it("a turned back of reverse-portrait pages is upright again", () => {
    const [front, back] = impose(
      pages(2),
      settings(
        { sides: Sides.TWO_SIDED_LONG_EDGE, orientationRequested: Orientation.REVERSE_PORTRAIT },
        { sheetBack: SheetBack.ROTATED },
      ),
    );
    expect([front, back].map((side) => side?.placements[0]?.matrix[0])).toEqual([-1, 1]);
  });
});
