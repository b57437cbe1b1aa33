/** Test pages for any engine. */
import {
  bandRows,
  type Capabilities,
  type CodecName,
  digestBands,
  encodeBand,
  type Message,
  type PageMessage,
  type PlainBand,
} from "../protocol/index.ts";
import { seededRandom } from "../src/link/random.ts";

export const jobMessage = (jobKey: string, sheetsStacked = 0): Message => ({
  kind: "job",
  jobKey,
  sheetsStacked,
  name: "conformance",
});

/** A key that no earlier run has used. */
export const newJobKey = (): string =>
  Array.from({ length: 16 }, () => "0123456789abcdef"[Math.floor(Math.random() * 16)]).join("");

export function pageMessage(
  engine: Capabilities,
  sheet: number,
  change: Partial<PageMessage> = {},
): PageMessage {
  return {
    kind: "page",
    sheet,
    side: "front",
    lastOfSheet: true,
    widthPx: Math.min(engine.maxWidthPx, 603),
    heightPx: Math.min(engine.maxHeightPx, 128),
    resolutionDpi: engine.resolutionsDpi[0]!,
    colorants: engine.colorants,
    mediaWidthUm: 210_000,
    mediaHeightUm: 297_000,
    media: "iso_a4_210x297mm",
    ...change,
  };
}

/** 800 pixels wide, so that a band of two rows is 200 bytes and one message. */
export const narrow = (engine: Capabilities): PageMessage =>
  pageMessage(engine, 1, { widthPx: 800, heightPx: 20 });

/** Strips of all the page's planes, with white, black, screens and noise. */
export function makeBands(engine: Capabilities, page: PageMessage, seed = 1): PlainBand[] {
  const random = seededRandom(seed);
  const strideBytes = Math.ceil(page.widthPx / 8);
  const rows = Math.min(bandRows(strideBytes, engine), 32);
  const fills = [() => 0x88, () => 0xff, () => (random() < 0.9 ? 0 : 0x18), () => Math.floor(random() * 256)];
  const bands: PlainBand[] = [];
  for (let yPx = 0; yPx < page.heightPx; yPx += rows) {
    const rowsPx = Math.min(rows, page.heightPx - yPx);
    page.colorants.forEach((colorant, plane) => {
      const fill = fills[(yPx / rows + plane) % fills.length]!;
      bands.push({ colorant, yPx, rowsPx, bits: Uint8Array.from({ length: rowsPx * strideBytes }, fill) });
    });
  }
  return bands;
}

/** One band in one codec, raw where that is smaller. */
export function messagesOf(
  band: PlainBand,
  page: PageMessage,
  engine: Capabilities,
  codec: CodecName,
): Message[] {
  const coded = encodeBand(band.bits, Math.ceil(page.widthPx / 8), [codec]);
  const { colorant, yPx, rowsPx } = band;
  const first = coded.bytes.subarray(0, engine.maxPayloadBytes - 12);
  const head = { kind: "band", colorant, yPx, rowsPx, codec: coded.codec } as const;
  const messages: Message[] = [{ ...head, encodedBytes: coded.bytes.length, bytes: first }];
  for (let at = first.length; at < coded.bytes.length; at += engine.maxPayloadBytes) {
    messages.push({ kind: "data", bytes: coded.bytes.subarray(at, at + engine.maxPayloadBytes) });
  }
  return messages;
}

/** A whole page in one codec. */
export function pageMessages(
  engine: Capabilities,
  page: PageMessage,
  bands: readonly PlainBand[],
  codec: CodecName,
  digest = 0,
): Message[] {
  const data = bands.flatMap((band) => messagesOf(band, page, engine, codec));
  return [page, ...data, { kind: "page-end", digest: digestBands(digest, bands) }];
}

/** A page of all planes, one sheet. */
export function testPage(
  engine: Capabilities,
  codec: CodecName = "raw",
): { readonly messages: readonly Message[]; readonly digest: number } {
  const page = pageMessage(engine, 1);
  const bands = makeBands(engine, page);
  return { messages: pageMessages(engine, page, bands, codec), digest: digestBands(0, bands) };
}
