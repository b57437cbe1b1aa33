/** The codecs of a band by name, and the choice among them. */
import type { CodecName } from "../words.ts";
import { decodeContext, encodeContext } from "./context.ts";
import { decodeDeltaRow, encodeDeltaRow } from "./delta-row.ts";
import { decodePackBits, encodePackBits } from "./packbits.ts";

interface Codec {
  /** The encoded bytes, or undefined when they would be `limitBytes` or more. */
  encode(plain: Uint8Array, strideBytes: number, limitBytes: number): Uint8Array<ArrayBuffer> | undefined;
  /** Fills `plain` and returns true; false when `coded` is no encoding of so many bytes, which leaves `plain` undefined. */
  decode(coded: Uint8Array, plain: Uint8Array, strideBytes: number): boolean;
}

const codecs: Record<CodecName, Codec> = {
  raw: {
    encode: (plain, _strideBytes, limitBytes) => (plain.length < limitBytes ? plain.slice() : undefined),
    decode(coded, plain) {
      if (coded.length !== plain.length) return false;
      plain.set(coded);
      return true;
    },
  },
  packbits: {
    encode: (plain, _strideBytes, limitBytes) => encodePackBits(plain, limitBytes),
    decode: (coded, plain) => decodePackBits(coded, plain),
  },
  "delta-row": { encode: encodeDeltaRow, decode: decodeDeltaRow },
  context: { encode: encodeContext, decode: decodeContext },
};

/**
 * A band in the fewest bytes: by whichever of the offered codecs, or raw. The bytes are the caller's to keep. Among equals
 * the first offered wins, and raw before all: it costs the engine least.
 */
export function encodeBand(
  plain: Uint8Array,
  strideBytes: number,
  offered: readonly CodecName[],
): { codec: CodecName; bytes: Uint8Array<ArrayBuffer> } {
  let best: { codec: CodecName; bytes: Uint8Array<ArrayBuffer> } | undefined;
  // The strongest are offered last: once they have been tried, the others give up early.
  for (const codec of offered.toReversed()) {
    if (codec === "raw") continue;
    const limitBytes = best ? best.bytes.length + 1 : plain.length;
    const bytes = codecs[codec].encode(plain, strideBytes, limitBytes);
    if (bytes) best = { codec, bytes };
  }
  return best ?? { codec: "raw", bytes: plain.slice() };
}

/** Fills `plain` with the rows that `coded` stands for; false when it does not stand for so many bytes. */
export const decodeBand = (
  codec: CodecName,
  coded: Uint8Array,
  plain: Uint8Array,
  strideBytes: number,
): boolean => codecs[codec].decode(coded, plain, strideBytes);
