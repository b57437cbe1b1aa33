/** The sequenced messages, host to engine: a job, its pages, their bands. */
import { FieldReader, FieldWriter, fromHex, toHex } from "./bytes.ts";
import {
  bitsOfNames,
  type CodecName,
  codecNames,
  type Colorant,
  colorants,
  frameType,
  namesOfBits,
} from "./words.ts";

/**
 * A job begins or goes on: after a fault, a restart of the host, or a restart of the engine. The engine counts its sheets
 * from what is larger: `sheetsStacked`, or what it remembers of this very job.
 */
export interface JobMessage {
  readonly kind: "job";
  /** 16 hexadecimal digits, not all zero; the same for the same job, whatever restarts. */
  readonly jobKey: string;
  /** Sheets that the host knows to be stacked. */
  readonly sheetsStacked: number;
  /** For people, at the engine's panel. */
  readonly name: string;
}

/** One side of a sheet begins. */
export interface PageMessage {
  readonly kind: "page";
  /** Counted from 1 over the job. A front is the next sheet, a back the same as the front before it. */
  readonly sheet: number;
  readonly side: "front" | "back";
  /** The sheet goes to the output tray after this side. */
  readonly lastOfSheet: boolean;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly resolutionDpi: number;
  /** Planes that its bands may have. */
  readonly colorants: readonly Colorant[];
  readonly mediaWidthUm: number;
  readonly mediaHeightUm: number;
  /** PWG 5101.1 name. */
  readonly media: string;
}

/**
 * A strip of one plane. Strips come from top to bottom; planes of one strip have the same rows and come in the order of their
 * numbers. What no band covers is blank. The encoded bytes begin in this message and go on in `data` messages.
 */
export interface BandMessage {
  readonly kind: "band";
  readonly colorant: Colorant;
  readonly codec: CodecName;
  readonly yPx: number;
  readonly rowsPx: number;
  /** All encoded bytes of the band. */
  readonly encodedBytes: number;
  /** The first of them. */
  readonly bytes: Uint8Array;
}

export type Message =
  | JobMessage
  | PageMessage
  | BandMessage
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  /** The page is whole. `digest`: CRC-32 over all bands of the sheet so far (page.ts, `digestBand`). */
  | { readonly kind: "page-end"; readonly digest: number }
  | { readonly kind: "job-end" };

/** Bytes of a BAND payload before its data. */
export const bandHeaderBytes = 12;

/** Type and payload of a frame. */
export function encodeMessage(message: Message): { type: number; payload: Uint8Array } {
  const write = new FieldWriter();
  switch (message.kind) {
    case "job":
      write.bytes(fromHex(message.jobKey)).u32(message.sheetsStacked).text(message.name);
      return { type: frameType.job, payload: write.finish() };
    case "page":
      write
        .u32(message.sheet)
        .u8((message.side === "back" ? 1 : 0) | (message.lastOfSheet ? 2 : 0))
        .u8(bitsOfNames(message.colorants, colorants))
        .u16(message.resolutionDpi)
        .u32(message.widthPx)
        .u32(message.heightPx)
        .u32(message.mediaWidthUm)
        .u32(message.mediaHeightUm)
        .text(message.media);
      return { type: frameType.page, payload: write.finish() };
    case "band": {
      const payload = new Uint8Array(bandHeaderBytes + message.bytes.length);
      const head = write
        .u8(colorants.indexOf(message.colorant))
        .u8(codecNames.indexOf(message.codec))
        .u16(message.rowsPx)
        .u32(message.yPx)
        .u32(message.encodedBytes);
      payload.set(head.finish());
      payload.set(message.bytes, bandHeaderBytes);
      return { type: frameType.band, payload };
    }
    case "data":
      return { type: frameType.data, payload: message.bytes };
    case "page-end":
      return { type: frameType.pageEnd, payload: write.u32(message.digest).finish() };
    case "job-end":
      return { type: frameType.jobEnd, payload: write.finish() };
  }
}

function readJob(read: FieldReader): JobMessage {
  return { kind: "job", jobKey: toHex(read.bytes(8)), sheetsStacked: read.u32(), name: read.text() };
}

function readPage(read: FieldReader): PageMessage {
  const sheet = read.u32();
  const flags = read.u8();
  const planes = namesOfBits(read.u8(), colorants);
  return {
    kind: "page",
    sheet,
    side: flags & 1 ? "back" : "front",
    lastOfSheet: (flags & 2) !== 0,
    colorants: planes,
    resolutionDpi: read.u16(),
    widthPx: read.u32(),
    heightPx: read.u32(),
    mediaWidthUm: read.u32(),
    mediaHeightUm: read.u32(),
    media: read.text(),
  };
}

function readBand(read: FieldReader): BandMessage | undefined {
  const colorant = colorants[read.u8()];
  const codec = codecNames[read.u8()];
  const rowsPx = read.u16();
  const yPx = read.u32();
  const encodedBytes = read.u32();
  return colorant && codec
    ? { kind: "band", colorant, codec, rowsPx, yPx, encodedBytes, bytes: read.rest() }
    : undefined;
}

function readMessage(type: number, read: FieldReader): Message | undefined {
  switch (type) {
    case frameType.job:
      return readJob(read);
    case frameType.page:
      return readPage(read);
    case frameType.band:
      return readBand(read);
    case frameType.data:
      return { kind: "data", bytes: read.rest() };
    case frameType.pageEnd:
      return { kind: "page-end", digest: read.u32() };
    case frameType.jobEnd:
      return { kind: "job-end" };
    default:
      return undefined;
  }
}

/** Undefined when the type is none of these or the payload ends too soon; bytes beyond the known fields are ignored. */
export function decodeMessage(type: number, payload: Uint8Array): Message | undefined {
  const fields = new FieldReader(payload);
  const message = readMessage(type, fields);
  return fields.ok ? message : undefined;
}
