/** S1404 and S1406: metafile and bands from the result store, over connections that may break, with patience that ends. */
import {
  type Band,
  BandContent,
  BandEncoding,
  BandSchema,
  decodeSizeDelimited,
  hasCode,
  type MetafilePage,
  PlatenError,
} from "@platen/proto";
import type { Content, ResultStore } from "../ports/result-store.ts";
import { backoffMs, sleep } from "./backoff.ts";
import { metafileMaxBytes } from "./metafile.ts";
import { chunks, Patience } from "./patience.ts";

/** Most data in a band, bytes (metafile.proto). */
const bandDataMaxBytes = 16 * 1024 * 1024;
/** Most pixel data of a decoded band, bytes: bounds the controller's memory, in which there are three at a time, and what the decoder has of two. Ours send 2 MiB. */
export const bandPixelsMaxBytes = 16 * 1024 * 1024;

export interface Source {
  readonly store: ResultStore;
  /** The session's token. */
  readonly token: string;
  /** How long nothing may come. Pages are held until they are converted, so this is minutes. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

/** Throws `conflict` when an answer is not of the same content as the one before it: its bytes would not go together. */
function expectSame(before: Content | undefined, { etag, totalBytes }: Content): void {
  const differ = <T>(a: T, b: T, unknown: T) => a !== unknown && b !== unknown && a !== b;
  if (!before) return;
  if (differ(before.etag, etag, "") || differ(before.totalBytes, totalBytes, undefined)) throw anotherOne();
}

const anotherOne = (): PlatenError => new PlatenError("conflict", "it is another one when fetched again");

/**
 * The content at `url`, each byte once. Where the connection breaks, another goes on with the byte that is due, until patience
 * ends: only new bytes renew it.
 */
async function* fetching(source: Source, url: URL): AsyncGenerator<Uint8Array> {
  const patience = new Patience(source.patienceMs, source.signal);
  let before: Content | undefined;
  let due = 0;
  for (let retry = 1; ; retry++) {
    try {
      const content = await patience.waitFor(source.store.get(url, source.token, due, patience.signal));
      expectSame(before, content);
      before = content;
      let at = content.startByte;
      for await (const chunk of chunks(content.bytes, patience)) {
        // Where the server gives only the whole, what was had comes again.
        const fresh = chunk.subarray(due - at);
        at += chunk.length;
        if (fresh.length === 0) continue;
        due = at;
        retry = 1;
        patience.progress();
        yield fresh;
      }
      if (at < due) throw anotherOne();
      return;
    } catch (error) {
      if (!hasCode(error, "unavailable")) throw error;
      await patience.waitFor(sleep(backoffMs(retry), patience.signal));
    }
  }
}

/**
 * What the backend says of the document itself: why a page will never come. The backend ends the job with the same code, and
 * whichever of the two is first, the user reads the same.
 */
const tellsOfDocument = (error: unknown): boolean =>
  error instanceof PlatenError && /^(document|conversion)-/.test(error.code);

/** What a failed fetch is to the job; aborts, refused content and what is wrong with the document stay what they are. */
function asUnavailable(
  error: unknown,
  code: "metafile-unavailable" | "page-unavailable",
  what: string,
  signal: AbortSignal,
): unknown {
  if (signal.aborted || hasCode(error, "metafile-invalid", "page-invalid") || tellsOfDocument(error))
    return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new PlatenError(code, `${what} cannot be fetched: ${reason}`, { cause: error });
}

/** S1404: the bytes of the metafile. Throws `metafile-unavailable` (S1405) or `metafile-invalid`. */
export async function fetchMetafile(source: Source, metafileUrl: string): Promise<Uint8Array> {
  try {
    const url = URL.parse(metafileUrl);
    if (!url) throw new PlatenError("invalid-argument", "its URL is not one");
    const parts: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const part of fetching(source, url)) {
      sizeBytes += part.length;
      if (sizeBytes > metafileMaxBytes) {
        throw new PlatenError("metafile-invalid", `the metafile has more than ${metafileMaxBytes} bytes`);
      }
      parts.push(part);
    }
    return Buffer.concat(parts, sizeBytes);
  } catch (error) {
    throw asUnavailable(error, "metafile-unavailable", "the metafile", source.signal);
  }
}

/** Throws `page-invalid` unless the band belongs at row `y` and can be what it says. */
function checkBand(band: Band, y: number, page: MetafilePage): void {
  const refuse = (what: string): never => {
    throw new PlatenError("page-invalid", `page ${page.pageNumber}, band at row ${band.yPx}: ${what}`);
  };
  const { rowsPx, content, encoding, data } = band;
  if (band.yPx !== y) refuse(`row ${y} was due`);
  if (rowsPx < 1 || y + rowsPx > page.heightPx) {
    refuse(`${rowsPx} rows do not fit into a page of ${page.heightPx}`);
  }
  if (content === BandContent.BLANK) {
    if (encoding !== BandEncoding.UNSPECIFIED || data.length) refuse("a blank band has data");
    return;
  }
  if (content !== BandContent.GREY && content !== BandContent.COLOR) refuse(`unknown content ${content}`);
  if (encoding !== BandEncoding.JPEG && encoding !== BandEncoding.PNG) refuse(`unknown encoding ${encoding}`);
  if (data.length > bandDataMaxBytes) refuse(`${data.length} bytes of data, more than ${bandDataMaxBytes}`);
  const pixelBytes = page.widthPx * rowsPx * (content === BandContent.COLOR ? 3 : 1);
  if (pixelBytes > bandPixelsMaxBytes) {
    refuse(`${pixelBytes} bytes of pixels, more than ${bandPixelsMaxBytes}`);
  }
}

/**
 * S1406: the bands of a page from top to bottom, checked against the metafile but not decoded. A broken connection is
 * mended, and goes on where it broke. Throws `page-unavailable`, `page-invalid`, or what became of the document (`document-…`, `conversion-…`).
 */
export async function* fetchBands(source: Source, page: MetafilePage): AsyncGenerator<Band> {
  try {
    const body = fetching(source, new URL(page.url));
    let y = 0;
    // The band's other fields take few bytes beside its data.
    for await (const band of decodeSizeDelimited(BandSchema, body, bandDataMaxBytes + 1024)) {
      checkBand(band, y, page);
      y += band.rowsPx;
      yield band;
    }
    if (y !== page.heightPx) {
      throw new PlatenError("page-invalid", `page ${page.pageNumber} ends at row ${y} of ${page.heightPx}`);
    }
  } catch (error) {
    throw asUnavailable(error, "page-unavailable", `page ${page.pageNumber}`, source.signal);
  }
}
