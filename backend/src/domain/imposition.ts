/**
 * Imposition: where each input page lands on which side of which sheet.
 *
 * A page is first laid on a virtual sheet, which has the size of the media and the page's own orientation; print-scaling
 * says how. The virtual sheets of number-up pages are then laid, upright and as large as they can be, into the cells of a
 * frame, and the frame is turned onto the side. One page a side is the case of one cell that is the whole frame.
 */
import {
  type ConversionSettings,
  type JobTicket,
  Orientation,
  PlatenError,
  PresentationDirection,
  PrintScaling,
  SheetBack,
  Sides,
} from "@platen/proto";
import {
  addTurns,
  compose,
  intersect,
  type Matrix,
  mapRect,
  type Rect,
  reverseTurn,
  type Size,
  scaling,
  translation,
  type Turn,
  turnedSize,
  turning,
} from "./geometry.ts";

/** A page of the document as it is shown: its crop box with /Rotate and /UserUnit applied, points. */
export interface InputPage {
  /** Counted from 1 in the document. */
  readonly pageNumber: number;
  readonly widthPt: number;
  readonly heightPt: number;
}

/** An input page on a side. */
export interface Placement {
  readonly inputPage: number;
  /** From points of the page as shown, origin top left, to pixels of the side, origin top left. */
  readonly matrix: Matrix;
  /** Nothing of the page shows outside of it; whole pixels. */
  readonly clip: Rect;
}

/** One impression. */
export interface ImposedSide {
  /** Counted from 1, in printing order. */
  readonly pageNumber: number;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly placements: readonly Placement[];
}

const pointsPerInch = 72;
const umPerInch = 25_400;

/** Page and media sizes that differ by less are the same: producers round A4 to anything between 595 and 596 points. */
const sameSizePt = 3;

/** What of the settings does not change from side to side. Lengths in pixels. */
interface Sheet extends Size {
  readonly dpi: number;
  /** Whole pixels within the margins. */
  readonly printable: Rect;
  readonly hasMargins: boolean;
  readonly ticket: JobTicket;
}

function sheetOf(settings: ConversionSettings, ticket: JobTicket): Sheet {
  const dpi = ticket.printerResolutionDpi;
  const px = (um: number): number => Math.round((um / umPerInch) * dpi);
  const { marginTopUm, marginBottomUm, marginLeftUm, marginRightUm } = settings;
  const width = px(settings.mediaWidthUm);
  const height = px(settings.mediaHeightUm);
  const x = px(marginLeftUm);
  const y = px(marginTopUm);
  return {
    dpi,
    width,
    height,
    printable: {
      x,
      y,
      width: Math.max(1, width - px(marginRightUm) - x),
      height: Math.max(1, height - px(marginBottomUm) - y),
    },
    hasMargins: marginTopUm + marginBottomUm + marginLeftUm + marginRightUm > 0,
    ticket,
  };
}

/** Whether a page has a side for itself. Its virtual sheet is the frame then. */
const isAlone = ({ ticket }: Sheet): boolean => ticket.numberUp === 1;

const isLandscape = ({ width, height }: Size): boolean => width > height;

/** The page's virtual sheet: the media, upright for the page's reader. */
function virtualSheet(page: Size, sheet: Sheet): Size {
  switch (sheet.ticket.orientationRequested) {
    case Orientation.PORTRAIT:
    case Orientation.REVERSE_PORTRAIT:
      return turnedSize(sheet, 0);
    case Orientation.LANDSCAPE:
    case Orientation.REVERSE_LANDSCAPE:
      return turnedSize(sheet, 90);
    default: {
      const square = page.width === page.height;
      return turnedSize(sheet, !square && isLandscape(page) !== isLandscape(sheet) ? 90 : 0);
    }
  }
}

/** How a frame is turned onto the side, and into how many cells it is cut. */
interface Layout {
  readonly turn: Turn;
  readonly columns: number;
  readonly rows: number;
}

const cellsAcross: Readonly<Record<number, readonly number[]>> = {
  1: [1],
  2: [2, 1],
  4: [2],
  6: [3, 2],
  9: [3],
  16: [4],
};

/** What can be printed on, as the frame sees it. */
const printableOf = (sheet: Sheet, turn: Turn): Rect =>
  mapRect(turning(sheet, reverseTurn(turn)), sheet.printable);

/** The frame's area that is cut into cells: all of it for one page, which keeps clear of the margins itself. */
const cellArea = (sheet: Sheet, turn: Turn): Rect =>
  isAlone(sheet) ? { x: 0, y: 0, ...turnedSize(sheet, turn) } : printableOf(sheet, turn);

const fitFactor = (inner: Size, outer: Size): number =>
  Math.min(outer.width / inner.width, outer.height / inner.height);

const coverFactor = (inner: Size, outer: Size): number =>
  Math.max(outer.width / inner.width, outer.height / inner.height);

/**
 * The layout that shows a virtual sheet largest. Where the frame must be turned, it is turned by 90 degrees
 * counter-clockwise: RFC 8011 section 5.2.10 says why (the same edge binds portrait and landscape).
 */
function chooseLayout(virtual: Size, sheet: Sheet): Layout {
  const { numberUp } = sheet.ticket;
  const layouts = ([0, 270] as const).flatMap((turn) =>
    (cellsAcross[numberUp] ?? [1]).map((columns) => ({ turn, columns, rows: numberUp / columns })),
  );
  const size = ({ turn, columns, rows }: Layout): number => {
    const { width, height } = cellArea(sheet, turn);
    return fitFactor(virtual, { width: width / columns, height: height / rows });
  };
  return layouts.reduce((best, layout) => (size(layout) > size(best) + 1e-9 ? layout : best));
}

/** PWG 5100.1 (presentation-direction-number-up): which cell the nth page goes to. */
function cellOf(n: number, { columns, rows }: Layout, direction: PresentationDirection): [number, number] {
  const d = PresentationDirection;
  const byColumns = direction >= d.TOBOTTOM_TORIGHT;
  const column = byColumns ? Math.floor(n / rows) : n % columns;
  const row = byColumns ? n % rows : Math.floor(n / columns);
  const fromRight = [d.TOLEFT_TOBOTTOM, d.TOLEFT_TOTOP, d.TOBOTTOM_TOLEFT, d.TOTOP_TOLEFT] as number[];
  const fromBottom = [d.TORIGHT_TOTOP, d.TOLEFT_TOTOP, d.TOTOP_TORIGHT, d.TOTOP_TOLEFT] as number[];
  return [
    fromRight.includes(direction) ? columns - 1 - column : column,
    fromBottom.includes(direction) ? rows - 1 - row : row,
  ];
}

/** PWG 5100.16 (print-scaling): the factor for a page at its natural size, and the box that it is centred in. */
function scalePage(page: Size, whole: Rect, printable: Rect, sheet: Sheet): { factor: number; box: Rect } {
  const tolerance = (sameSizePt / pointsPerInch) * sheet.dpi;
  const larger = page.width > whole.width + tolerance || page.height > whole.height + tolerance;
  const fit = () => ({ factor: fitFactor(page, printable), box: printable });
  const none = () => ({ factor: 1, box: whole });
  const fill = () => ({ factor: coverFactor(page, whole), box: whole });
  switch (sheet.ticket.printScaling) {
    case PrintScaling.FIT:
      return fit();
    case PrintScaling.FILL:
      return fill();
    case PrintScaling.NONE:
      return none();
    case PrintScaling.AUTO_FIT:
      return larger ? fit() : none();
    default:
      if (!larger) return none();
      return sheet.hasMargins ? fit() : fill();
  }
}

const centred = (inner: Size, outer: Rect): Matrix =>
  translation(outer.x + (outer.width - inner.width) / 2, outer.y + (outer.height - inner.height) / 2);

/** The least rectangle of whole pixels around one; what floating point adds to a whole number is no pixel more. */
function wholePixels({ x, y, width, height }: Rect): Rect {
  const slack = 1e-6;
  const left = Math.floor(x + slack);
  const top = Math.floor(y + slack);
  return {
    x: left,
    y: top,
    width: Math.ceil(x + width - slack) - left,
    height: Math.ceil(y + height - slack) - top,
  };
}

/** `printable`: what of the page's virtual sheet is within the margins, if it has any. */
function placePage(
  page: InputPage,
  cell: Rect,
  printable: Rect | undefined,
  toSide: Matrix,
  sheet: Sheet,
): Placement {
  const pxPerPt = sheet.dpi / pointsPerInch;
  const natural: Size = { width: page.widthPt * pxPerPt, height: page.heightPt * pxPerPt };
  const virtual = virtualSheet(natural, sheet);
  const whole: Rect = { x: 0, y: 0, ...virtual };
  const shrink = fitFactor(virtual, cell);
  const shrunk: Size = { width: virtual.width * shrink, height: virtual.height * shrink };
  const virtualToSide = compose(toSide, centred(shrunk, cell), scaling(shrink));

  const { factor, box } = scalePage(natural, whole, printable ?? whole, sheet);
  const scaled: Size = { width: natural.width * factor, height: natural.height * factor };
  const matrix = compose(virtualToSide, centred(scaled, box), scaling(factor * pxPerPt));

  const pageBox = mapRect(matrix, { x: 0, y: 0, width: page.widthPt, height: page.heightPt });
  const visible = intersect(pageBox, mapRect(virtualToSide, whole));
  return {
    inputPage: page.pageNumber,
    matrix,
    clip: intersect(wholePixels(visible), sheet.printable),
  };
}

/** PWG 5102.4 (pwg-raster-document-sheet-back). */
const isTurnedBack = (sides: Sides, sheetBack: SheetBack): boolean =>
  (sheetBack === SheetBack.ROTATED && sides === Sides.TWO_SIDED_LONG_EDGE) ||
  (sheetBack === SheetBack.MANUAL_TUMBLE && sides === Sides.TWO_SIDED_SHORT_EDGE);

const reversed: readonly number[] = [Orientation.REVERSE_LANDSCAPE, Orientation.REVERSE_PORTRAIT];

function imposeSide(pages: readonly InputPage[], sheet: Sheet, turnBack: boolean): Placement[] {
  const [first] = pages;
  if (!first) return [];
  const { orientationRequested, presentationDirectionNumberUp } = sheet.ticket;
  const layout = chooseLayout(virtualSheet({ width: first.widthPt, height: first.heightPt }, sheet), sheet);
  const reverse = reversed.includes(orientationRequested) !== turnBack;
  const turn = addTurns(layout.turn, reverse ? 180 : 0);
  const toSide = turning(turnedSize(sheet, turn), turn);
  const area = cellArea(sheet, turn);
  const printable = isAlone(sheet) ? printableOf(sheet, turn) : undefined;
  const width = area.width / layout.columns;
  const height = area.height / layout.rows;
  return pages
    .map((page, n) => {
      const [column, row] = cellOf(n, layout, presentationDirectionNumberUp);
      const cell = { x: area.x + column * width, y: area.y + row * height, width, height };
      return placePage(page, cell, printable, toSide, sheet);
    })
    .filter(({ clip }) => clip.width > 0 && clip.height > 0);
}

/** The sides of one copy, in printing order: with two sides front, back, front, back; the last sheet may have no back. */
export function impose(pages: readonly InputPage[], settings: ConversionSettings): ImposedSide[] {
  const { ticket } = settings;
  if (!ticket) throw new PlatenError("invalid-argument", "the conversion settings hold no ticket");
  const sheet = sheetOf(settings, ticket);
  const twoSided = ticket.sides !== Sides.ONE_SIDED;
  const turnedBack = isTurnedBack(ticket.sides, settings.sheetBack);
  return Array.from({ length: Math.ceil(pages.length / ticket.numberUp) }, (_, i) => ({
    pageNumber: i + 1,
    widthPx: sheet.width,
    heightPx: sheet.height,
    placements: imposeSide(
      pages.slice(i * ticket.numberUp, (i + 1) * ticket.numberUp),
      sheet,
      twoSided && i % 2 === 1 && turnedBack,
    ),
  }));
}
