/** The engine link: pure codecs and a pure state machine for each side. docs/engine-link.md is its specification. */
export {
  bandMessages,
  bandRows,
  digestBands,
  messagesOf,
  type PackedBand,
  type PackedStrip,
  packStrip,
  type Strip,
  stripBands,
} from "./bands.ts";
export { fromHex, sanitize, toHex } from "./bytes.ts";
export { decodeBand, encodeBand } from "./codecs/codec.ts";
export {
  type Capabilities,
  decodeAck,
  decodeStatus,
  decodeWelcome,
  encodeAbort,
  encodeHello,
  idleStatus,
  noJob,
  type Status,
  type SupplyLevel,
  type Welcome,
} from "./control.ts";
export { crc32 } from "./crc32.ts";
export {
  type Engine,
  type EngineEffect,
  type EngineEvent as EngineLinkEvent,
  engineDueMs,
  type EngineOptions,
  startEngine,
  stepEngine,
} from "./engine.ts";
export { encodeFrame, type Frame, FrameReader } from "./frame.ts";
export {
  type Host,
  hostDueMs,
  type HostEffect,
  type HostEvent,
  type HostOptions,
  isDelivered,
  isHeldUp,
  ownVersions,
  payloadBytesOf,
  startHost,
  stepHost,
} from "./host.ts";
export { decodeMessage, encodeMessage, type JobMessage, type Message, type PageMessage } from "./messages.ts";
export {
  digestBand,
  type PlainBand,
  type PrintAction,
  type PrintStream,
  startPrintStream,
  takeMessage,
} from "./page.ts";
export type { Sequenced } from "./sender.ts";
export { difference32, frameCost } from "./serial.ts";
export { engineTiming, hostTiming, version } from "./timing.ts";
export {
  type CodecName,
  codecNames,
  type Colorant,
  colorants,
  type EngineState,
  frameType,
  isSequenced,
  type Reason,
  reasons,
  type Refusal,
} from "./words.ts";
