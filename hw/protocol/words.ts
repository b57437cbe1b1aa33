/** The numbers that stand for words on the line. A number that is not here is refused or ignored, never guessed. */

/** Frame types. 0x01–0x0F go from the host unsequenced, 0x10–0x1F from the host in sequence, 0x81–0x8F from the engine. */
export const frameType = {
  hello: 0x01,
  ping: 0x02,
  abort: 0x03,
  job: 0x10,
  page: 0x11,
  band: 0x12,
  data: 0x13,
  pageEnd: 0x14,
  jobEnd: 0x15,
  welcome: 0x81,
  ack: 0x82,
  status: 0x83,
} as const;

/** Whether frames of this type take part in the sequence: they are acknowledged, repeated, and cost credit. */
export const isSequenced = (type: number): boolean => type >= 0x10 && type <= 0x1f;

export type Colorant = "cyan" | "magenta" | "yellow" | "black";
/** By number on the line. */
export const colorants: readonly Colorant[] = ["cyan", "magenta", "yellow", "black"];

export type CodecName = "raw" | "packbits" | "delta-row" | "context";
/** By number on the line. Every engine takes raw. */
export const codecNames: readonly CodecName[] = ["raw", "packbits", "delta-row", "context"];

/**
 * Why an engine stands still, or soon will: RFC 8011 section 5.4.12 and PWG 5100.9, without severities. By bit number.
 * `engine-fault` (a head, a motor, anything else) is this protocol's own; IPP would say "other".
 */
export const reasons = [
  "media-empty",
  "media-needed",
  "media-jam",
  "marker-supply-empty",
  "marker-supply-low",
  "cover-open",
  "output-area-full",
  "fuser-over-temp",
  "fuser-under-temp",
  "marker-waste-full",
  "engine-fault",
] as const;
export type Reason = (typeof reasons)[number];

export type EngineState = "idle" | "processing" | "stopped";
/** By number on the line. */
export const engineStates: readonly EngineState[] = ["idle", "processing", "stopped"];

/** Why an engine takes nothing more before an ABORT or a HELLO. By number on the line; 0 is none. */
export const refusals = [
  "none",
  /** A payload cannot be read. */
  "malformed",
  /** A message that cannot come here: a band outside a page, a page outside a job. */
  "unexpected",
  /** A size, resolution, ink, codec or side that the engine did not offer. */
  "unsupported",
  /** A sheet that is stacked already, or not the next one. */
  "wrong-sheet",
  /** A band that lies outside its page, over another, or is larger than the engine takes. */
  "band-bounds",
  /** A band that its codec cannot undo. */
  "band-damaged",
  /** The sheet's digest is not the host's. */
  "digest-mismatch",
  /** The engine stood still while it had work in this session: what is not stacked is void, also when it can print again. */
  "stopped",
] as const;
export type Refusal = (typeof refusals)[number];

/** Names of the bits that are set; bits without a name are left out. */
export const namesOfBits = <T>(bits: number, names: readonly T[]): T[] =>
  names.filter((_, bit) => (bits >>> bit) & 1);

/** The bits of the names. */
export const bitsOfNames = <T>(chosen: readonly T[], names: readonly T[]): number =>
  chosen.reduce((bits, name) => bits | (1 << names.indexOf(name)), 0) >>> 0;
