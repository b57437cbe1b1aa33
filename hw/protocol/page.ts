/**
 * What the engine makes of the messages: jobs, pages and bands in an order that can be printed, or a refusal. Pure: it keeps
 * the rules of docs/engine-link.md, "Messages", and decodes bands; when and how things are printed is the device's.
 */
import { FieldWriter } from "./bytes.ts";
import { decodeBand } from "./codecs/codec.ts";
import { type Capabilities, noJob } from "./control.ts";
import { crc32 } from "./crc32.ts";
import type { BandMessage, JobMessage, Message, PageMessage } from "./messages.ts";
import { type Colorant, colorants, type Refusal } from "./words.ts";

/** A band undone. */
export interface PlainBand {
  readonly colorant: Colorant;
  readonly yPx: number;
  readonly rowsPx: number;
  /** `rowsPx` rows of ceil(width / 8) bytes: one bit a pixel, most significant bit left, 1 = ink. */
  readonly bits: Uint8Array;
}

/** What to print. */
export type PrintAction =
  | { readonly kind: "job"; readonly job: JobMessage }
  | { readonly kind: "page"; readonly page: PageMessage }
  | { readonly kind: "band"; readonly band: PlainBand }
  /** `digest`: of the sheet so far. */
  | { readonly kind: "page-end"; readonly page: PageMessage; readonly digest: number }
  | { readonly kind: "job-end" };

interface OpenBand {
  readonly head: BandMessage;
  readonly parts: readonly Uint8Array[];
  readonly missingBytes: number;
}

export interface PrintStream {
  readonly job: JobMessage | undefined;
  /** The last sheet that was begun, or that was stacked when the job message came. */
  readonly sheet: number;
  readonly page: PageMessage | undefined;
  /** The front of the sheet came and its back is due. */
  readonly backDue: boolean;
  /** Where the last strip begins and ends, and the number of its last plane. */
  readonly strip: { readonly yPx: number; readonly endPx: number; readonly plane: number };
  readonly band: OpenBand | undefined;
  readonly digest: number;
}

const noStrip = { yPx: 0, endPx: 0, plane: colorants.length };

export const startPrintStream: PrintStream = {
  job: undefined,
  sheet: 0,
  page: undefined,
  backDue: false,
  strip: noStrip,
  band: undefined,
  digest: 0,
};

export type PrintStep =
  | { readonly stream: PrintStream; readonly action: PrintAction | undefined }
  | { readonly refusal: Refusal };

/** CRC-32 of a sheet's bands, in the order sent: for each colorant u8, yPx u32, rowsPx u16, and the bits. */
export function digestBand(digest: number, band: PlainBand): number {
  const head = new FieldWriter().u8(colorants.indexOf(band.colorant)).u32(band.yPx).u16(band.rowsPx).finish();
  return crc32(band.bits, crc32(head, digest));
}

const refuse = (refusal: Refusal): PrintStep => ({ refusal });

function takeJob(stream: PrintStream, job: JobMessage, stacked: number): PrintStep {
  if (stream.job || stream.page) return refuse("unexpected");
  if (job.jobKey === noJob) return refuse("malformed");
  return { stream: { ...startPrintStream, job, sheet: stacked }, action: { kind: "job", job } };
}

function takePage(stream: PrintStream, page: PageMessage, engine: Capabilities): PrintStep {
  if (!stream.job || stream.page) return refuse("unexpected");
  const back = page.side === "back";
  if (back !== stream.backDue) return refuse("unexpected");
  if (page.sheet !== (back ? stream.sheet : stream.sheet + 1)) return refuse("wrong-sheet");
  const supported =
    page.widthPx > 0 &&
    page.heightPx > 0 &&
    page.widthPx <= engine.maxWidthPx &&
    page.heightPx <= engine.maxHeightPx &&
    engine.resolutionsDpi.includes(page.resolutionDpi) &&
    page.colorants.every((ink) => engine.colorants.includes(ink)) &&
    (page.lastOfSheet || (engine.duplex && !back));
  if (!supported) return refuse("unsupported");
  const digest = back ? stream.digest : 0;
  return {
    stream: { ...stream, sheet: page.sheet, page, backDue: false, strip: noStrip, digest },
    action: { kind: "page", page },
  };
}

/** The strip after this band, or undefined when the band cannot lie there. */
function stripWith(
  stream: PrintStream,
  page: PageMessage,
  band: BandMessage,
): PrintStream["strip"] | undefined {
  const plane = colorants.indexOf(band.colorant);
  const endPx = band.yPx + band.rowsPx;
  const { strip } = stream;
  const sameStrip = band.yPx === strip.yPx && endPx === strip.endPx && plane > strip.plane;
  const nextStrip = band.yPx >= strip.endPx;
  if (band.rowsPx === 0 || endPx > page.heightPx || !(sameStrip || nextStrip)) return undefined;
  return { yPx: band.yPx, endPx, plane };
}

function takeBand(stream: PrintStream, head: BandMessage, engine: Capabilities): PrintStep {
  const { page } = stream;
  if (!page || stream.band) return refuse("unexpected");
  if (!page.colorants.includes(head.colorant) || !engine.codecs.includes(head.codec))
    return refuse("unsupported");
  const plainBytes = Math.ceil(page.widthPx / 8) * head.rowsPx;
  const strip = stripWith(stream, page, head);
  if (!strip || plainBytes > engine.maxBandBytes) return refuse("band-bounds");
  if (head.encodedBytes > plainBytes) return refuse("band-damaged");
  return takeBytes({ ...stream, strip }, { head, parts: [], missingBytes: head.encodedBytes }, head.bytes);
}

function takeBytes(stream: PrintStream, band: OpenBand, bytes: Uint8Array): PrintStep {
  if (bytes.length > band.missingBytes) return refuse("band-damaged");
  const missingBytes = band.missingBytes - bytes.length;
  const parts = [...band.parts, bytes];
  if (missingBytes > 0)
    return { stream: { ...stream, band: { ...band, parts, missingBytes } }, action: undefined };
  const coded = new Uint8Array(band.head.encodedBytes);
  let at = 0;
  for (const part of parts) {
    coded.set(part, at);
    at += part.length;
  }
  const { colorant, codec, yPx, rowsPx } = band.head;
  const strideBytes = Math.ceil(stream.page!.widthPx / 8);
  const bits = new Uint8Array(strideBytes * rowsPx);
  if (!decodeBand(codec, coded, bits, strideBytes)) return refuse("band-damaged");
  const plain = { colorant, yPx, rowsPx, bits };
  const digest = digestBand(stream.digest, plain);
  return { stream: { ...stream, band: undefined, digest }, action: { kind: "band", band: plain } };
}

function endPage(stream: PrintStream, digest: number): PrintStep {
  const { page } = stream;
  if (!page || stream.band) return refuse("unexpected");
  if (digest !== stream.digest) return refuse("digest-mismatch");
  return {
    stream: { ...stream, page: undefined, backDue: !page.lastOfSheet },
    action: { kind: "page-end", page, digest },
  };
}

/** `stackedOf`: sheets of a job that the engine knows to be stacked, the job message's own count included. */
export function takeMessage(
  stream: PrintStream,
  message: Message | undefined,
  engine: Capabilities,
  stackedOf: (job: JobMessage) => number,
): PrintStep {
  switch (message?.kind) {
    case undefined:
      return refuse("malformed");
    case "job":
      return takeJob(stream, message, stackedOf(message));
    case "page":
      return takePage(stream, message, engine);
    case "band":
      return takeBand(stream, message, engine);
    case "data":
      return stream.band ? takeBytes(stream, stream.band, message.bytes) : refuse("unexpected");
    case "page-end":
      return endPage(stream, message.digest);
    case "job-end":
      if (!stream.job || stream.page || stream.backDue) return refuse("unexpected");
      return { stream: startPrintStream, action: { kind: "job-end" } };
  }
}
