/**
 * Job tickets: what can be refused without a printer, and what a printer makes of the rest. Every attribute either does what
 * RFC 8011 and PWG 5100 say or is refused by its IPP name; none is ignored.
 */
import { create, type DescEnum } from "@bufbuild/protobuf";
import {
  type ConversionSettings,
  ConversionSettingsSchema,
  JobErrorAction,
  JobErrorActionSchema,
  type JobTicket,
  Orientation,
  OrientationSchema,
  type PageRange,
  PlatenError,
  PresentationDirection,
  PresentationDirectionSchema,
  PrintColorMode,
  PrintColorModeSchema,
  PrintContentOptimize,
  PrintContentOptimizeSchema,
  type PrinterCapabilities,
  PrintQuality,
  PrintQualitySchema,
  PrintScaling,
  PrintScalingSchema,
  SheetBack,
  SheetCollate,
  SheetCollateSchema,
  Sides,
  SidesSchema,
} from "@platen/proto";
import { isCustomMedia, type MediaSize, parseMediaSize } from "./media.ts";

export const maxCopies = 999;
export const numbersUp: readonly number[] = [1, 2, 4, 6, 9, 16];
export const ticketResolutionsDpi: readonly number[] = [300, 600, 1200];

const invalid = (message: string): PlatenError => new PlatenError("ticket-invalid", message);

/** The IPP keyword of an enum's value: SIDES_ONE_SIDED is "one-sided". */
function keyword(schema: DescEnum, value: number): string {
  const name = schema.value[value]?.name ?? String(value);
  return name
    .slice(schema.sharedPrefix?.length ?? 0)
    .toLowerCase()
    .replaceAll("_", "-");
}

/** proto3 enums are open: a client may send a number that means nothing here. */
function requireKnown(attribute: string, schema: DescEnum, value: number): void {
  if (schema.value[value] !== undefined) return;
  const known = schema.values
    .filter(({ number }) => number !== 0)
    .map(({ number }) => keyword(schema, number));
  throw invalid(`${attribute} ${value} means nothing: use one of ${known.join(", ")}`);
}

function requireOneOf(attribute: string, value: number, allowed: readonly number[]): void {
  if (value === 0 || allowed.includes(value)) return;
  throw invalid(`${attribute} ${value} is not supported: use one of ${allowed.join(", ")}`);
}

/** RFC 8011 section 5.2.7: ascending, without overlap. */
function validatePageRanges(ranges: readonly PageRange[]): void {
  let end = 0;
  for (const { firstPage, lastPage } of ranges) {
    const text = `page-ranges ${firstPage}-${lastPage}`;
    if (firstPage < 1) throw invalid(`${text} begins before page 1`);
    if (lastPage < firstPage) throw invalid(`${text} ends before it begins`);
    if (firstPage <= end) {
      throw invalid(`${text} does not come after page ${end}: ranges ascend and do not overlap`);
    }
    end = lastPage;
  }
}

/** Refuses all that can be refused without knowing the printer. Throws `ticket-invalid`, naming attribute and value. */
export function validateTicket(ticket: JobTicket): void {
  requireKnown("sheet-collate", SheetCollateSchema, ticket.sheetCollate);
  requireKnown("sides", SidesSchema, ticket.sides);
  requireKnown("orientation-requested", OrientationSchema, ticket.orientationRequested);
  requireKnown("print-scaling", PrintScalingSchema, ticket.printScaling);
  requireKnown("print-quality", PrintQualitySchema, ticket.printQuality);
  requireKnown("print-color-mode", PrintColorModeSchema, ticket.printColorMode);
  requireKnown("print-content-optimize", PrintContentOptimizeSchema, ticket.printContentOptimize);
  requireKnown(
    "presentation-direction-number-up",
    PresentationDirectionSchema,
    ticket.presentationDirectionNumberUp,
  );
  requireKnown("job-error-action", JobErrorActionSchema, ticket.jobErrorAction);
  requireOneOf("number-up", ticket.numberUp, numbersUp);
  requireOneOf("printer-resolution", ticket.printerResolutionDpi, ticketResolutionsDpi);
  if (ticket.copies > maxCopies) throw invalid(`copies ${ticket.copies} is more than ${maxCopies}`);
  validatePageRanges(ticket.pageRanges);
  if (ticket.media !== "") parseMediaSize(ticket.media);
}

function unsupported(attribute: string, asked: string, supported: readonly string[]): PlatenError {
  return new PlatenError(
    "ticket-unsupported",
    `${attribute} ${asked} is not supported by this printer, which supports ${supported.join(", ")}`,
  );
}

function resolveMedia(name: string, printer: PrinterCapabilities): MediaSize {
  const size = parseMediaSize(name || printer.mediaDefault, name ? "media" : "media-default of the printer");
  const fitsCustom =
    isCustomMedia(size.name) &&
    size.widthUm <= printer.mediaCustomMaxWidthUm &&
    size.heightUm <= printer.mediaCustomMaxHeightUm;
  if (name && !fitsCustom && !printer.mediaSupported.includes(name)) {
    const { mediaCustomMaxWidthUm: width, mediaCustomMaxHeightUm: height } = printer;
    const custom = width && height ? [`custom sizes up to ${width / 1000}x${height / 1000}mm`] : [];
    throw unsupported("media", name, [...printer.mediaSupported, ...custom]);
  }
  if (
    printer.marginLeftUm + printer.marginRightUm >= size.widthUm ||
    printer.marginTopUm + printer.marginBottomUm >= size.heightUm
  ) {
    throw new PlatenError(
      "ticket-unsupported",
      `media ${size.name} is not supported by this printer: its margins leave nothing of it to print on`,
    );
  }
  return size;
}

function resolveSides(asked: Sides, printer: PrinterCapabilities): Sides {
  const supported = printer.sidesSupported.length ? printer.sidesSupported : [Sides.ONE_SIDED];
  const sides = asked === Sides.UNSPECIFIED ? Sides.ONE_SIDED : asked;
  if (sides !== Sides.ONE_SIDED && !supported.includes(sides)) {
    throw unsupported(
      "sides",
      keyword(SidesSchema, sides),
      supported.map((value) => keyword(SidesSchema, value)),
    );
  }
  return sides;
}

/** RFC 8011 section 5.2.13: print-quality chooses the resolution where none is asked for. */
function resolveResolution(askedDpi: number, quality: PrintQuality, printer: PrinterCapabilities): number {
  const { resolutionsDpi, resolutionDefaultDpi } = printer;
  if (askedDpi && !resolutionsDpi.includes(askedDpi)) {
    throw unsupported(
      "printer-resolution",
      `${askedDpi}dpi`,
      resolutionsDpi.map((dpi) => `${dpi}dpi`),
    );
  }
  if (askedDpi) return askedDpi;
  if (quality === PrintQuality.DRAFT) return Math.min(...resolutionsDpi, resolutionDefaultDpi);
  if (quality === PrintQuality.HIGH) return Math.max(...resolutionsDpi, resolutionDefaultDpi);
  return resolutionDefaultDpi;
}

function resolveColorMode(asked: PrintColorMode, printer: PrinterCapabilities): PrintColorMode {
  if (asked === PrintColorMode.COLOR && !printer.colorSupported) {
    throw unsupported("print-color-mode", "color", ["auto", "monochrome"]);
  }
  if (asked === PrintColorMode.MONOCHROME || !printer.colorSupported) return PrintColorMode.MONOCHROME;
  return PrintColorMode.COLOR;
}

/**
 * The ticket with every default filled in, and the sheet it is for. Throws `ticket-invalid` as `validateTicket` does, and
 * `ticket-unsupported` for what the printer cannot do, naming the attribute, the value asked for and what it supports.
 */
export function resolveTicket(
  ticket: JobTicket,
  printer: PrinterCapabilities,
  jobName: string,
): ConversionSettings {
  validateTicket(ticket);
  const media = resolveMedia(ticket.media, printer);
  const printQuality = ticket.printQuality || PrintQuality.NORMAL;
  return create(ConversionSettingsSchema, {
    ticket: {
      copies: ticket.copies || 1,
      sheetCollate: ticket.sheetCollate || SheetCollate.COLLATED,
      pageRanges: ticket.pageRanges,
      sides: resolveSides(ticket.sides, printer),
      media: media.name,
      orientationRequested: ticket.orientationRequested || Orientation.NONE,
      printScaling: ticket.printScaling || PrintScaling.AUTO,
      printerResolutionDpi: resolveResolution(ticket.printerResolutionDpi, printQuality, printer),
      printQuality,
      printColorMode: resolveColorMode(ticket.printColorMode, printer),
      numberUp: ticket.numberUp || 1,
      presentationDirectionNumberUp:
        ticket.presentationDirectionNumberUp || PresentationDirection.TORIGHT_TOBOTTOM,
      jobErrorAction: ticket.jobErrorAction || JobErrorAction.SUSPEND_JOB,
      printContentOptimize: ticket.printContentOptimize || PrintContentOptimize.AUTO,
    },
    mediaWidthUm: media.widthUm,
    mediaHeightUm: media.heightUm,
    marginTopUm: printer.marginTopUm,
    marginBottomUm: printer.marginBottomUm,
    marginLeftUm: printer.marginLeftUm,
    marginRightUm: printer.marginRightUm,
    sheetBack: printer.sheetBack || SheetBack.NORMAL,
    jobName,
  });
}
