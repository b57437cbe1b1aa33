/** S1404: the metafile, read and checked before anything is printed. */
import { fromJsonString } from "@bufbuild/protobuf";
import {
  type JobTicket,
  type Metafile,
  MetafileSchema,
  PlatenError,
  PrintColorMode,
  PrintContentOptimize,
  PrintQuality,
  SheetCollate,
  Sides,
} from "@platen/proto";
import type { InkChoice } from "../color/ink-choice.ts";
import type { EngineCapabilities } from "../ports/engine-driver.ts";
import type { HalftoneName } from "../pixels/screen.ts";
import { planSheets, type SheetPlan } from "./sheets.ts";

/** Largest metafile, bytes: about 50,000 pages. */
export const metafileMaxBytes = 16 * 1024 * 1024;

const sourceProfileMaxBytes = 4 * 1024 * 1024;

/** Widest page, pixels: A3 at 1200 dpi has 14,032. */
const widthMaxPx = 65_535;
/** Longest page, pixels: 150 m at 1200 dpi. */
const heightMaxPx = 8_000_000;

/** What a metafile asks the printer to do. */
export interface PrintPlan {
  readonly metafile: Metafile;
  readonly plan: SheetPlan;
  readonly media: string;
  readonly twoSided: boolean;
  /** Print with black alone. */
  readonly monochrome: boolean;
  readonly halftone: HalftoneName;
  readonly inks: InkChoice;
}

/** Halftones by print-quality. A draft's patterns compress well on the way to the engine. */
const halftoneOfQuality: ReadonlyMap<PrintQuality, HalftoneName> = new Map([
  [PrintQuality.UNSPECIFIED, "shiau-fan"],
  [PrintQuality.DRAFT, "ordered"],
  [PrintQuality.NORMAL, "shiau-fan"],
  [PrintQuality.HIGH, "shiau-fan"],
]);

const twoSidedOf: ReadonlyMap<Sides, boolean> = new Map([
  [Sides.UNSPECIFIED, false],
  [Sides.ONE_SIDED, false],
  [Sides.TWO_SIDED_LONG_EDGE, true],
  [Sides.TWO_SIDED_SHORT_EDGE, true],
]);

const collatedOf: ReadonlyMap<SheetCollate, boolean> = new Map([
  [SheetCollate.UNSPECIFIED, true],
  [SheetCollate.COLLATED, true],
  [SheetCollate.UNCOLLATED, false],
]);

/** Black alone is crisp, and steady in flat greys; it is lighter than all inks together, which photos have in their shadows. */
const neutralsOfContent: ReadonlyMap<PrintContentOptimize, InkChoice["neutrals"]> = new Map([
  [PrintContentOptimize.UNSPECIFIED, "black"],
  [PrintContentOptimize.AUTO, "black"],
  [PrintContentOptimize.GRAPHIC, "black"],
  [PrintContentOptimize.PHOTO, "cube"],
  [PrintContentOptimize.TEXT, "black"],
  [PrintContentOptimize.TEXT_AND_GRAPHIC, "black"],
]);

/** Auto is colour where there are inks for it. */
const monochromeOf: ReadonlyMap<PrintColorMode, boolean> = new Map([
  [PrintColorMode.UNSPECIFIED, false],
  [PrintColorMode.AUTO, false],
  [PrintColorMode.COLOR, false],
  [PrintColorMode.MONOCHROME, true],
]);

function refuse(what: string, cause?: unknown): never {
  throw new PlatenError("metafile-invalid", `the metafile is refused: ${what}`, { cause });
}

/** The value's meaning; a number that this firmware has never heard of is refused (proto3 enums are open). */
function meaning<K, V>(table: ReadonlyMap<K, V>, value: K, name: string): V {
  return table.get(value) ?? refuse(`it has an unknown ${name}, ${String(value)}`);
}

function parse(json: Uint8Array): Metafile {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(json);
    return fromJsonString(MetafileSchema, text, { ignoreUnknownFields: true });
  } catch (cause) {
    return refuse(`it cannot be read: ${(cause as Error).message}`, cause);
  }
}

/** Pixels of a length, rounded up, with one more for another way of rounding. */
const pixelsAtMost = (um: number, dpi: number): number => Math.ceil((um * dpi) / 25_400) + 1;

function checkPages(metafile: Metafile): void {
  const { pages, resolutionDpi, mediaWidthUm, mediaHeightUm } = metafile;
  const widthMost = Math.min(widthMaxPx, pixelsAtMost(mediaWidthUm, resolutionDpi));
  const heightMost = Math.min(heightMaxPx, pixelsAtMost(mediaHeightUm, resolutionDpi));
  if (pages.length === 0) refuse("it has no pages");
  pages.forEach(({ pageNumber, url, widthPx, heightPx }, i) => {
    if (pageNumber !== i + 1) refuse(`page ${pageNumber} stands where page ${i + 1} belongs`);
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ""))
      refuse(`page ${pageNumber} has no http or https URL`);
    if (widthPx < 1 || widthPx > widthMost || heightPx < 1 || heightPx > heightMost) {
      refuse(`page ${pageNumber} has ${widthPx} × ${heightPx} pixels, which the media do not hold`);
    }
  });
}

const copiesOf = (ticket: JobTicket): number => {
  const copies = ticket.copies || 1;
  return copies <= 999 ? copies : refuse(`${copies} copies are more than 999`);
};

/**
 * The plan of a metafile, given as the bytes of its proto3 JSON, for job `jobId` on printer `printerId`. Throws
 * `metafile-invalid` for one that is not theirs, or that no engine can do.
 */
export function readMetafile(
  json: Uint8Array,
  { jobId, printerId }: { jobId: string; printerId: string },
): PrintPlan {
  const metafile = parse(json);
  const { session, ticket, sourceProfile } = metafile;
  if (session?.jobId !== jobId || session.printerId !== printerId) refuse("it is of another job");
  if (!ticket) return refuse("it has no ticket");
  checkPages(metafile);
  if (sourceProfile.length > sourceProfileMaxBytes) {
    refuse(`its source_profile has ${sourceProfile.length} bytes, more than ${sourceProfileMaxBytes}`);
  }
  const twoSided = meaning(twoSidedOf, ticket.sides, "sides");
  const plan = planSheets(metafile.pages, {
    copies: copiesOf(ticket),
    collated: meaning(collatedOf, ticket.sheetCollate, "sheet_collate"),
    twoSided,
  });
  return {
    metafile,
    plan,
    media: ticket.media,
    twoSided,
    monochrome: meaning(monochromeOf, ticket.printColorMode, "print_color_mode"),
    halftone: meaning(halftoneOfQuality, ticket.printQuality, "print_quality"),
    inks: {
      media: ticket.media,
      neutrals: meaning(neutralsOfContent, ticket.printContentOptimize, "print_content_optimize"),
      ...(sourceProfile.length > 0 && { source: sourceProfile }),
    },
  };
}

/** Throws `metafile-invalid` when this engine cannot do it. */
export function checkEngine({ metafile, twoSided }: PrintPlan, engine: EngineCapabilities): void {
  const { resolutionDpi, ticket } = metafile;
  if (!engine.resolutionsDpi.includes(resolutionDpi)) {
    refuse(`the engine prints at ${engine.resolutionsDpi.join(", ")} dpi, not at ${resolutionDpi}`);
  }
  if (ticket?.printColorMode === PrintColorMode.COLOR && !engine.colorants.includes("cyan")) {
    refuse("it insists on colour, and the engine has black alone");
  }
  if (twoSided && !engine.duplex) refuse("the engine prints on one side only");
}
