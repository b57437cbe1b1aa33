/** What the golden files are made of. `node hw/protocol/golden/write.ts` writes them; golden.test.ts holds them to it. */
import { toHex } from "../bytes.ts";
import { encodeBand } from "../codecs/codec.ts";
import {
  type Ack,
  type Capabilities,
  encodeAbort,
  encodeAck,
  encodeHello,
  encodeStatus,
  encodeWelcome,
  type Hello,
  type Status,
  type Welcome,
} from "../control.ts";
import { encodeFrame } from "../frame.ts";
import { encodeMessage, type Message } from "../messages.ts";
import { digestBand, type PlainBand, startPrintStream, takeMessage } from "../page.ts";
import { type CodecName, codecNames, colorants, frameType } from "../words.ts";

export const capabilities: Capabilities = {
  makeAndModel: "Acme Inkwell 600",
  serialNumber: "A-0001",
  firmwareVersion: "1.2.3",
  colorants,
  resolutionsDpi: [300, 600],
  codecs: codecNames,
  duplex: true,
  maxWidthPx: 5100,
  maxHeightPx: 14_000,
  maxBandBytes: 8192,
  maxPayloadBytes: 512,
  windowFrames: 16,
  feed: "pauses",
};

const hello: Hello = { minVersion: 1, maxVersion: 1, hostBootId: 0x11223344 };

const welcome: Welcome = {
  minVersion: 1,
  maxVersion: 1,
  version: 1,
  resumed: false,
  hostBootId: 0x11223344,
  engineBootId: 0x55667788,
  capabilities,
};

const refusal: Welcome = { ...welcome, minVersion: 2, maxVersion: 3, version: 0, capabilities: undefined };

const ack: Ack = { expected: 41, received: 0b110n, credit: 20_480 };

const status: Status = {
  state: "stopped",
  reasons: ["media-empty", "cover-open"],
  refusal: "none",
  refusedNumber: 0,
  jobKey: "0123456789abcdef",
  sheetsStacked: 3,
  stackedDigest: 0xcafef00d,
  sheet: 4,
  rowsPrinted: 128,
  cancelPresses: 0,
  supplies: [
    { colorant: "cyan", levelPercent: 80 },
    { colorant: "black", levelPercent: undefined },
  ],
  message: "Load paper and close the cover.",
};

const jobMessage: Message = {
  kind: "job",
  jobKey: "0123456789abcdef",
  sheetsStacked: 3,
  name: "Rechnung März",
};

const pageMessage: Message = {
  kind: "page",
  sheet: 4,
  side: "front",
  lastOfSheet: true,
  widthPx: 16,
  heightPx: 8,
  resolutionDpi: 600,
  colorants: ["cyan", "black"],
  mediaWidthUm: 210_000,
  mediaHeightUm: 297_000,
  media: "iso_a4_210x297mm",
};

const band: PlainBand = { colorant: "black", yPx: 2, rowsPx: 2, bits: Uint8Array.of(0, 0x18, 0, 0x3c) };
const digest = digestBand(0, band);
const bandMessage: Message = {
  kind: "band",
  colorant: "black",
  codec: "raw",
  yPx: 2,
  rowsPx: 2,
  encodedBytes: 4,
  bytes: band.bits.subarray(0, 3),
};
const dataMessage: Message = { kind: "data", bytes: band.bits.subarray(3) };
const printable: readonly Message[] = [
  jobMessage,
  pageMessage,
  bandMessage,
  dataMessage,
  { kind: "page-end", digest },
  { kind: "job-end" },
];

const plainValue = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, it: unknown) =>
      it instanceof Uint8Array ? toHex(it) : typeof it === "bigint" ? it.toString(16) : it,
    ),
  );

const frameCase = (name: string, type: number, number: number, payload: Uint8Array, fields: unknown) => ({
  name,
  type,
  session: 7,
  number,
  fields: plainValue(fields),
  payload: toHex(payload),
  line: toHex(encodeFrame({ type, session: 7, number, payload })),
});

/** One frame of each type: its fields, its payload, and what is on the line, delimiters included. */
export const frames = [
  frameCase("HELLO", frameType.hello, 0, encodeHello(hello), hello),
  frameCase("WELCOME", frameType.welcome, 0, encodeWelcome(welcome), welcome),
  frameCase("WELCOME, no version in common", frameType.welcome, 0, encodeWelcome(refusal), refusal),
  frameCase("PING", frameType.ping, 1, new Uint8Array(0), {}),
  frameCase("ABORT", frameType.abort, 2, encodeAbort(8), { nextSession: 8 }),
  frameCase("ACK", frameType.ack, 1, encodeAck(ack), ack),
  frameCase("STATUS", frameType.status, 2, encodeStatus(status), status),
  ...printable.map((message, i) => {
    const { type, payload } = encodeMessage(message);
    return frameCase(message.kind.toUpperCase().replace("-", "_"), type, i, payload, message);
  }),
];

/** A picture with white, black, a ramp of dots and noise, so that each codec has all its cases. */
function picture(strideBytes: number, rows: number): Uint8Array {
  const bits = new Uint8Array(strideBytes * rows);
  let seed = 1;
  for (let i = 0; i < bits.length; i++) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    const row = Math.floor(i / strideBytes);
    const column = i % strideBytes;
    if (row < rows / 4) bits[i] = column === 40 ? 0x18 : 0;
    else if (row < rows / 2) bits[i] = 0xff;
    else if (row < (3 * rows) / 4) bits[i] = column % 3 === row % 3 ? 0x88 : 0x22;
    else bits[i] = (seed >>> 16) & (seed >>> 20) & 255;
  }
  return bits;
}

const bandCases: readonly { name: string; strideBytes: number; plain: Uint8Array }[] = [
  { name: "one blank byte", strideBytes: 1, plain: Uint8Array.of(0) },
  { name: "one dot", strideBytes: 2, plain: Uint8Array.of(0, 0x10, 0, 0) },
  { name: "blank", strideBytes: 620, plain: new Uint8Array(620 * 2) },
  { name: "full", strideBytes: 300, plain: new Uint8Array(300 * 3).fill(255) },
  { name: "one dot at the far end", strideBytes: 620, plain: new Uint8Array(620 * 2).fill(1, 1239) },
  { name: "picture", strideBytes: 64, plain: picture(64, 16) },
];

/** Bands in each codec. An encoder may find another encoding; a decoder must undo this one. */
export const bands = bandCases.flatMap(({ name, strideBytes, plain }) =>
  codecNames.flatMap((codec) => {
    const coded = encodeBand(plain, strideBytes, [codec]);
    if (coded.codec !== codec) return [];
    return [{ name, codec, strideBytes, plain: toHex(plain), coded: toHex(coded.bytes) }];
  }),
);

/** What is no encoding of so many bytes: a decoder refuses it, and writes nowhere else. */
export const damagedBands: readonly {
  codec: CodecName;
  strideBytes: number;
  plainBytes: number;
  coded: string;
}[] = [
  { codec: "raw", strideBytes: 2, plainBytes: 4, coded: "000000" },
  { codec: "packbits", strideBytes: 2, plainBytes: 4, coded: "" },
  { codec: "packbits", strideBytes: 2, plainBytes: 4, coded: "fcff" },
  { codec: "packbits", strideBytes: 2, plainBytes: 4, coded: "03aabb" },
  { codec: "packbits", strideBytes: 2, plainBytes: 4, coded: "fdff00" },
  { codec: "packbits", strideBytes: 2, plainBytes: 4, coded: "fd" },
  { codec: "delta-row", strideBytes: 2, plainBytes: 4, coded: "ff" },
  { codec: "delta-row", strideBytes: 2, plainBytes: 4, coded: "40aabbccff" },
  { codec: "delta-row", strideBytes: 2, plainBytes: 4, coded: "1fffffffff" },
  { codec: "delta-row", strideBytes: 2, plainBytes: 4, coded: "20aabbffff" },
  { codec: "context", strideBytes: 2, plainBytes: 4, coded: "ffffffffffffffffffffffff" },
];

/** One thing changed in a sequence that can be printed. */
function streamCase(name: string, messages: readonly Message[]) {
  let stream = startPrintStream;
  let verdict = "accepted";
  const payloads: { type: number; payload: string }[] = [];
  for (const message of messages) {
    const { type, payload } = encodeMessage(message);
    payloads.push({ type, payload: toHex(payload) });
    const step = takeMessage(stream, message, capabilities, (job) => job.sheetsStacked);
    if ("refusal" in step) {
      verdict = step.refusal;
      break;
    }
    stream = step.stream;
  }
  return { name, messages: payloads, verdict, digest: stream.digest };
}

const head = [jobMessage, pageMessage] as const;
const end: Message = { kind: "page-end", digest };
const wide = (message: Message, change: object): Message => ({ ...message, ...change }) as Message;
const whole = wide(bandMessage, { bytes: band.bits });

/** Sequences of messages for an engine with the capabilities of WELCOME, and what it makes of them. */
export const streams = [
  streamCase("a page", printable),
  streamCase("a blank page", [...head, wide(end, { digest: 0 }), { kind: "job-end" }]),
  streamCase("two planes of one strip", [
    ...head,
    wide(whole, { colorant: "cyan" }),
    whole,
    wide(whole, { yPx: 4 }),
  ]),
  streamCase("front and back", [
    jobMessage,
    wide(pageMessage, { lastOfSheet: false }),
    wide(end, { digest: 0 }),
    wide(pageMessage, { side: "back" }),
    wide(end, { digest: 0 }),
    { kind: "job-end" },
  ]),
  streamCase("a page outside a job", [pageMessage]),
  streamCase("a job within a job", [jobMessage, jobMessage]),
  streamCase("a job without a key", [wide(jobMessage, { jobKey: "0000000000000000" })]),
  streamCase("a band outside a page", [jobMessage, whole]),
  streamCase("data outside a band", [...head, dataMessage]),
  streamCase("a band within a band", [...head, bandMessage, whole]),
  streamCase("a page that ends within a band", [...head, bandMessage, end]),
  streamCase("a job that ends within a page", [...head, { kind: "job-end" }]),
  streamCase("a job that ends before the back", [
    jobMessage,
    wide(pageMessage, { lastOfSheet: false }),
    wide(end, { digest: 0 }),
    { kind: "job-end" },
  ]),
  streamCase("a back without its front", [jobMessage, wide(pageMessage, { side: "back" })]),
  streamCase("a sheet that is stacked", [jobMessage, wide(pageMessage, { sheet: 3 })]),
  streamCase("a sheet too far", [jobMessage, wide(pageMessage, { sheet: 5 })]),
  streamCase("too wide", [jobMessage, wide(pageMessage, { widthPx: 5101 })]),
  streamCase("no width", [jobMessage, wide(pageMessage, { widthPx: 0 })]),
  streamCase("an unknown resolution", [jobMessage, wide(pageMessage, { resolutionDpi: 1200 })]),
  streamCase("an ink that the page does not have", [...head, wide(whole, { colorant: "magenta" })]),
  streamCase("a band below the page", [...head, wide(whole, { yPx: 7 })]),
  streamCase("a band far below the page", [...head, wide(whole, { yPx: 0xffffffff })]),
  streamCase("a band without rows", [
    ...head,
    wide(whole, { rowsPx: 0, encodedBytes: 0, bytes: new Uint8Array(0) }),
  ]),
  streamCase("a band over another", [...head, whole, wide(whole, { yPx: 3 })]),
  streamCase("a plane twice", [...head, whole, whole]),
  streamCase("planes in the wrong order", [...head, whole, wide(whole, { colorant: "cyan" })]),
  streamCase("more data than the band has", [...head, bandMessage, wide(dataMessage, { bytes: band.bits })]),
  streamCase("a band that grew", [...head, wide(whole, { encodedBytes: 5 })]),
  streamCase("a band that does not decode", [...head, wide(whole, { codec: "packbits" })]),
  streamCase("a wrong digest", [...head, whole, wide(end, { digest: 1 })]),
];
