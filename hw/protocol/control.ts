/** Payloads of the unsequenced frames: greeting, acknowledgement, status. */
import { FieldReader, FieldWriter, fromHex, toHex } from "./bytes.ts";
import {
  bitsOfNames,
  type CodecName,
  codecNames,
  type Colorant,
  colorants,
  type EngineState,
  engineStates,
  namesOfBits,
  type Reason,
  reasons,
  type Refusal,
  refusals,
} from "./words.ts";

/** Host: let us talk. In the frame's session. This layout is the same in every version. */
export interface Hello {
  readonly minVersion: number;
  readonly maxVersion: number;
  /** Drawn anew at each start of the host, so that no session of an earlier start is taken for one of this. */
  readonly hostBootId: number;
}

/** What an engine is and takes. */
export interface Capabilities {
  readonly makeAndModel: string;
  readonly serialNumber: string;
  readonly firmwareVersion: string;
  readonly colorants: readonly Colorant[];
  /** Ascending. */
  readonly resolutionsDpi: readonly number[];
  readonly codecs: readonly CodecName[];
  readonly duplex: boolean;
  readonly maxWidthPx: number;
  readonly maxHeightPx: number;
  /** Bytes that a band of one plane may have, undone. */
  readonly maxBandBytes: number;
  /** Payload of a sequenced frame, 64 to 4096. */
  readonly maxPayloadBytes: number;
  /** Sequenced frames that may be under way at once, 1 to 64. */
  readonly windowFrames: number;
  /** `pauses`: waits in mid-page for data. `whole-page`: takes a whole page before it feeds the sheet. */
  readonly feed: "pauses" | "whole-page";
}

/** Engine: the answer to Hello. The fields before the capabilities are the same in every version. */
export interface Welcome {
  readonly minVersion: number;
  readonly maxVersion: number;
  /** The version of this session; 0: there is none in common, and the engine ignores all but Hello. */
  readonly version: number;
  /** The engine has this session already, with all that it got in it. */
  readonly resumed: boolean;
  readonly hostBootId: number;
  /** Differs from one start of the engine to the next. */
  readonly engineBootId: number;
  /** Absent when the version is 0. */
  readonly capabilities: Capabilities | undefined;
}

/** Engine: what came, and how much more may. */
export interface Ack {
  /** The next frame in sequence that is missing: all before it came. */
  readonly expected: number;
  /** Bit i: frame `expected` + 1 + i came. */
  readonly received: bigint;
  /** Credit granted since the session began, modulo 2³². */
  readonly credit: number;
}

export interface SupplyLevel {
  readonly colorant: Colorant;
  /** 0 to 100; undefined when the engine cannot tell. */
  readonly levelPercent: number | undefined;
}

/** Engine: how things stand. Each Status replaces the one before, so that a lost one does no harm. */
export interface Status {
  readonly state: EngineState;
  readonly reasons: readonly Reason[];
  /** Why the engine takes nothing more in this session. */
  readonly refusal: Refusal;
  /** Sequence number of the message that was refused. */
  readonly refusedNumber: number;
  /** 16 hexadecimal digits; zeros: no job since the engine started. */
  readonly jobKey: string;
  /** Number of the job's last sheet in the output tray, 0: none. For good: it must never be printed again. */
  readonly sheetsStacked: number;
  /** CRC-32 over the bands of that sheet (page.ts, `digestBand`). */
  readonly stackedDigest: number;
  /** The sheet in the paper path, 0: none. */
  readonly sheet: number;
  /** Rows of the side at work that are on the paper. */
  readonly rowsPrinted: number;
  /** How often somebody pressed cancel since the engine started, modulo 65536. */
  readonly cancelPresses: number;
  readonly supplies: readonly SupplyLevel[];
  /** One sentence for people; may be empty. */
  readonly message: string;
}

export const noJob = "0000000000000000";
const unknownLevel = 255;

/** Of an engine that has just started, and of which nothing more is known. */
export const idleStatus: Status = {
  state: "idle",
  reasons: [],
  refusal: "none",
  refusedNumber: 0,
  jobKey: noJob,
  sheetsStacked: 0,
  stackedDigest: 0,
  sheet: 0,
  rowsPrinted: 0,
  cancelPresses: 0,
  supplies: [],
  message: "",
};

export const encodeHello = (hello: Hello): Uint8Array =>
  new FieldWriter().u8(hello.minVersion).u8(hello.maxVersion).u32(hello.hostBootId).finish();

export function decodeHello(payload: Uint8Array): Hello | undefined {
  const read = new FieldReader(payload);
  const hello = { minVersion: read.u8(), maxVersion: read.u8(), hostBootId: read.u32() };
  return read.ok && hello.minVersion >= 1 && hello.minVersion <= hello.maxVersion ? hello : undefined;
}

export function encodeWelcome(welcome: Welcome): Uint8Array {
  const write = new FieldWriter()
    .u8(welcome.minVersion)
    .u8(welcome.maxVersion)
    .u8(welcome.version)
    .u8(welcome.resumed ? 1 : 0)
    .u32(welcome.hostBootId)
    .u32(welcome.engineBootId);
  const it = welcome.capabilities;
  if (!it) return write.finish();
  write
    .u8(bitsOfNames(it.colorants, colorants))
    .u8(bitsOfNames(it.codecs, codecNames))
    .u8((it.duplex ? 1 : 0) | (it.feed === "whole-page" ? 2 : 0))
    .u8(it.windowFrames)
    .u16(it.maxPayloadBytes)
    .u32(it.maxBandBytes)
    .u32(it.maxWidthPx)
    .u32(it.maxHeightPx)
    .u8(it.resolutionsDpi.length);
  for (const dpi of it.resolutionsDpi) write.u16(dpi);
  return write.text(it.makeAndModel).text(it.serialNumber).text(it.firmwareVersion).finish();
}

function readCapabilities(read: FieldReader): Capabilities | undefined {
  const colorantBits = read.u8();
  const codecBits = read.u8();
  const flags = read.u8();
  const numbers = {
    windowFrames: read.u8(),
    maxPayloadBytes: read.u16(),
    maxBandBytes: read.u32(),
    maxWidthPx: read.u32(),
    maxHeightPx: read.u32(),
  };
  const resolutionsDpi = Array.from({ length: read.u8() }, () => read.u16());
  const capabilities: Capabilities = {
    ...numbers,
    colorants: namesOfBits(colorantBits, colorants),
    codecs: namesOfBits(codecBits | 1, codecNames),
    duplex: (flags & 1) !== 0,
    feed: flags & 2 ? "whole-page" : "pauses",
    resolutionsDpi,
    makeAndModel: read.text(),
    serialNumber: read.text(),
    firmwareVersion: read.text(),
  };
  const sane =
    capabilities.colorants.length > 0 &&
    numbers.windowFrames >= 1 &&
    numbers.windowFrames <= 64 &&
    numbers.maxPayloadBytes >= 64 &&
    numbers.maxPayloadBytes <= 4096 &&
    numbers.maxWidthPx > 0 &&
    numbers.maxHeightPx > 0 &&
    // A row at least, or no band would fit.
    numbers.maxBandBytes >= Math.ceil(numbers.maxWidthPx / 8) &&
    resolutionsDpi.length > 0 &&
    resolutionsDpi.every((dpi, i) => dpi > (resolutionsDpi[i - 1] ?? 0));
  return read.ok && sane ? capabilities : undefined;
}

/** Undefined for what cannot be read, and for capabilities with which nothing could be printed. */
export function decodeWelcome(payload: Uint8Array): Welcome | undefined {
  const read = new FieldReader(payload);
  const head = {
    minVersion: read.u8(),
    maxVersion: read.u8(),
    version: read.u8(),
    resumed: read.u8() === 1,
    hostBootId: read.u32(),
    engineBootId: read.u32(),
  };
  if (!read.ok) return undefined;
  if (head.version === 0) return { ...head, capabilities: undefined };
  const capabilities = readCapabilities(read);
  return capabilities && { ...head, capabilities };
}

const low32 = 0xffffffffn;

export const encodeAck = (ack: Ack): Uint8Array =>
  new FieldWriter()
    .u16(ack.expected)
    .u32(Number(ack.received & low32))
    .u32(Number(ack.received >> 32n))
    .u32(ack.credit)
    .finish();

export function decodeAck(payload: Uint8Array): Ack | undefined {
  const read = new FieldReader(payload);
  const expected = read.u16();
  const received = BigInt(read.u32()) | (BigInt(read.u32()) << 32n);
  const credit = read.u32();
  return read.ok ? { expected, received, credit } : undefined;
}

export function encodeStatus(status: Status): Uint8Array {
  const write = new FieldWriter()
    .u8(engineStates.indexOf(status.state))
    .u32(bitsOfNames(status.reasons, reasons))
    .u8(refusals.indexOf(status.refusal))
    .u16(status.refusedNumber)
    .bytes(fromHex(status.jobKey))
    .u32(status.sheetsStacked)
    .u32(status.stackedDigest)
    .u32(status.sheet)
    .u32(status.rowsPrinted)
    .u16(status.cancelPresses)
    .u8(status.supplies.length);
  for (const { colorant, levelPercent } of status.supplies) {
    write.u8(colorants.indexOf(colorant)).u8(levelPercent ?? unknownLevel);
  }
  return write.text(status.message, 127).finish();
}

export function decodeStatus(payload: Uint8Array): Status | undefined {
  const read = new FieldReader(payload);
  const state = engineStates[read.u8()];
  const reasonBits = read.u32();
  // A refusal that this version does not know still is one.
  const refusal = refusals[read.u8()] ?? "unexpected";
  const numbers = {
    refusedNumber: read.u16(),
    jobKey: toHex(read.bytes(8)),
    sheetsStacked: read.u32(),
    stackedDigest: read.u32(),
    sheet: read.u32(),
    rowsPrinted: read.u32(),
    cancelPresses: read.u16(),
  };
  const supplies: SupplyLevel[] = [];
  for (let left = read.u8(); left > 0; left--) {
    const colorant = colorants[read.u8()];
    const level = read.u8();
    if (colorant) supplies.push({ colorant, levelPercent: level <= 100 ? level : undefined });
  }
  const message = read.text();
  if (!read.ok || !state) return undefined;
  return { state, reasons: namesOfBits(reasonBits, reasons), refusal, ...numbers, supplies, message };
}

/** ABORT: throw out everything that is not stacked; the sequence begins again, in this session. */
export const encodeAbort = (nextSession: number): Uint8Array => new FieldWriter().u16(nextSession).finish();

export function decodeAbort(payload: Uint8Array): number | undefined {
  const read = new FieldReader(payload);
  const nextSession = read.u16();
  return read.ok ? nextSession : undefined;
}
