/** From a strip of planes to the messages that carry it. */
import { encodeBand } from "./codecs/codec.ts";
import type { Capabilities } from "./control.ts";
import { bandHeaderBytes, type Message } from "./messages.ts";
import { digestBand, type PlainBand } from "./page.ts";
import { type CodecName, type Colorant, colorants } from "./words.ts";

/** The largest strip of `strideBytes` rows that the engine takes in one band. */
export const bandRows = (strideBytes: number, engine: Capabilities): number =>
  Math.max(1, Math.min(65535, Math.floor(engine.maxBandBytes / strideBytes)));

/** Some rows of a page, all planes. */
export interface Strip {
  readonly yPx: number;
  readonly rowsPx: number;
  readonly strideBytes: number;
  readonly planes: readonly Pick<PlainBand, "colorant" | "bits">[];
}

/** A band in the fewest bytes, not yet cut to frames. */
export interface PackedBand {
  readonly colorant: Colorant;
  readonly codec: CodecName;
  readonly yPx: number;
  readonly rowsPx: number;
  /** In memory of their own. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface PackedStrip {
  readonly bands: readonly PackedBand[];
  /** Of the sheet so far. */
  readonly digest: number;
}

function packBand({ bits, ...place }: PlainBand, strideBytes: number, engine: Capabilities): PackedBand {
  return { ...place, ...encodeBand(bits, strideBytes, engine.codecs) };
}

/** The strip as it goes to the engine; `digest` is of the sheet before it. */
export function packStrip(strip: Strip, digest: number, engine: Capabilities): PackedStrip {
  let all = digest;
  const bands: PackedBand[] = [];
  for (const band of stripBands(strip, engine)) {
    all = digestBand(all, band);
    bands.push(packBand(band, strip.strideBytes, engine));
  }
  return { bands, digest: all };
}

/** The messages that carry a band: a head with the first bytes, and the rest. */
export function messagesOf({ bytes, ...head }: PackedBand, payloadBytes: number): Message[] {
  const first = bytes.subarray(0, payloadBytes - bandHeaderBytes);
  const messages: Message[] = [{ kind: "band", ...head, encodedBytes: bytes.length, bytes: first }];
  for (let at = first.length; at < bytes.length; at += payloadBytes) {
    messages.push({ kind: "data", bytes: bytes.subarray(at, at + payloadBytes) });
  }
  return messages;
}

/** The messages of one band, in the fewest bytes. */
export const bandMessages = (
  band: PlainBand,
  strideBytes: number,
  engine: Capabilities,
  payloadBytes: number,
): Message[] => messagesOf(packBand(band, strideBytes, engine), payloadBytes);

/** One strip, several planes: cut to bands that the engine takes, blank ones left out, in the order of the protocol. */
export function* stripBands(strip: Strip, engine: Capabilities): Generator<PlainBand> {
  const { strideBytes } = strip;
  const rows = bandRows(strideBytes, engine);
  const planes = [...strip.planes].sort(
    (a, b) => colorants.indexOf(a.colorant) - colorants.indexOf(b.colorant),
  );
  for (let y = 0; y < strip.rowsPx; y += rows) {
    const rowsPx = Math.min(rows, strip.rowsPx - y);
    for (const { colorant, bits } of planes) {
      const part = bits.subarray(y * strideBytes, (y + rowsPx) * strideBytes);
      if (part.some((byte) => byte !== 0)) yield { colorant, yPx: strip.yPx + y, rowsPx, bits: part };
    }
  }
}

/** The digest of a sheet after these bands. */
export const digestBands = (digest: number, bands: Iterable<PlainBand>): number => {
  let all = digest;
  for (const band of bands) all = digestBand(all, band);
  return all;
};
