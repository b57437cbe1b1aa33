/** From a strip of planes to the messages that carry it. */
import { encodeBand } from "./codecs/codec.ts";
import type { Capabilities } from "./control.ts";
import { bandHeaderBytes, type Message } from "./messages.ts";
import { digestBand, type PlainBand } from "./page.ts";
import { colorants } from "./words.ts";

/** The largest strip of `strideBytes` rows that the engine takes in one band. */
export const bandRows = (strideBytes: number, engine: Capabilities): number =>
  Math.max(1, Math.min(65535, Math.floor(engine.maxBandBytes / strideBytes)));

/** The messages of one band, in the fewest bytes: a head with the first data, and the rest. */
export function bandMessages(
  band: PlainBand,
  strideBytes: number,
  engine: Capabilities,
  payloadBytes: number,
): Message[] {
  const { codec, bytes } = encodeBand(band.bits, strideBytes, engine.codecs);
  const { colorant, yPx, rowsPx } = band;
  const first = bytes.subarray(0, payloadBytes - bandHeaderBytes);
  const messages: Message[] = [
    { kind: "band", colorant, codec, yPx, rowsPx, encodedBytes: bytes.length, bytes: first },
  ];
  for (let at = first.length; at < bytes.length; at += payloadBytes) {
    messages.push({ kind: "data", bytes: bytes.subarray(at, at + payloadBytes) });
  }
  return messages;
}

/** One strip, several planes: cut to bands that the engine takes, blank ones left out, in the order of the protocol. */
export function* stripBands(
  strip: {
    readonly yPx: number;
    readonly rowsPx: number;
    readonly strideBytes: number;
    readonly planes: readonly Pick<PlainBand, "colorant" | "bits">[];
  },
  engine: Capabilities,
): Generator<PlainBand> {
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
