/** S1407: from bands as they are fetched to their pixels. */
import { type Band, BandContent } from "@platen/proto";
import type { BandKind } from "../pixels/halftoner.ts";
import type { BandDecoder } from "../ports/band-decoder.ts";
import { ahead } from "./ahead.ts";
import { giveBack } from "./give-back.ts";
import { type FetchedItem, isMark, type PageMark } from "./impressions.ts";

interface Rows<Pixels> {
  readonly kind: "band";
  readonly yPx: number;
  readonly rowsPx: number;
  readonly content: BandKind;
  /** As the decoder gives them; empty for a blank band. */
  readonly pixels: Pixels;
}

export type PixelItem = PageMark | Rows<Uint8Array>;

/**
 * Bands that are decoded at the same time, or wait for the next stage: libvips hands each band from thread to thread, and while one
 * is handed over another is decoded.
 */
const decodedAtOnce = 2;

const noPixels = Promise.resolve(new Uint8Array(0));

/** The content is one of the three: page-source.ts has checked it. */
const kindOf = ({ content }: Band): BandKind =>
  content === BandContent.BLANK ? "blank" : content === BandContent.GREY ? "grey" : "color";

async function pixelsOf(band: Band, widthPx: number, decoder: BandDecoder): Promise<Uint8Array> {
  const pixels = await decoder.decode(band, widthPx);
  // All of the message, which is the data but for a few bytes.
  giveBack(new Uint8Array(band.data.buffer));
  return pixels;
}

async function* decoding(
  items: AsyncIterable<FetchedItem>,
  decoder: BandDecoder,
): AsyncGenerator<PageMark | Rows<Promise<Uint8Array>>> {
  for await (const item of items) {
    if (item.kind !== "band") {
      yield item;
      continue;
    }
    const { band, pageWidthPx } = item;
    const content = kindOf(band);
    const pixels = content === "blank" ? noPixels : pixelsOf(band, pageWidthPx, decoder);
    // A failure is told when its turn comes, not as an unhandled rejection before.
    pixels.catch(() => {});
    yield { kind: "band", yPx: band.yPx, rowsPx: band.rowsPx, content, pixels };
  }
}

/**
 * The bands' pixels, made ahead; when the consumer stops, `stop` ends what is under way. A page begins once its first band is decoded:
 * the engine takes no sheet before there is something to lay on it. Throws `page-invalid`.
 */
export async function* pixelBands(
  items: AsyncIterable<FetchedItem>,
  decoder: BandDecoder,
  stop: () => void,
): AsyncGenerator<PixelItem> {
  let page: PageMark | undefined;
  const bands = ahead(decoding(items, decoder), { count: decodedAtOnce, isFree: isMark, stop });
  for await (const item of bands) {
    if (item.kind === "page") {
      page = item;
    } else if (item.kind === "page-end") {
      yield item;
    } else {
      const pixels = await item.pixels;
      if (page) yield page;
      page = undefined;
      yield { ...item, pixels };
    }
  }
}
