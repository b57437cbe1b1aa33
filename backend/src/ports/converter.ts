/**
 * The converter port: a document on disk becomes pages of bands. The adapter (`render/`) does it in worker processes that
 * can be killed, each page within limits of time and memory.
 */
import type { ConversionSettings } from "@platen/proto";
import type { MediaType } from "../domain/media-type.ts";

export type { MediaType };

/** One side of a sheet to be printed, known when the document opens. */
export interface Impression {
  /** Counted from 1, in printing order. */
  readonly pageNumber: number;
  readonly widthPx: number;
  readonly heightPx: number;
}

export interface ConvertedPage {
  readonly pageNumber: number;
  /** A local file with the page's bands, size-delimited (metafile.proto, Band). The taker deletes it. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly blankBands: number;
  readonly greyBands: number;
  readonly colorBands: number;
}

export interface OpenDocument extends AsyncDisposable {
  readonly impressions: readonly Impression[];
  /** The ICC profile of the bands' pixels (metafile.proto, source_profile); sRGB without one. */
  readonly sourceProfile?: Uint8Array | undefined;
  /**
   * Converts the given pages, several at a time, and yields each as it is ready, in any order. Throws `document-damaged`,
   * `conversion-time-limit`, `conversion-memory-limit` or `conversion-crashed`; ends with `canceled` when `signal` aborts.
   */
  convert(pageNumbers: readonly number[], signal: AbortSignal): AsyncIterable<ConvertedPage>;
}

export interface Converter extends AsyncDisposable {
  /**
   * Opens a document. Throws `document-damaged`, `document-password`, `document-too-large`, `ticket-invalid` (page ranges
   * that select nothing), or one of the limits' codes.
   */
  open(
    path: string,
    mediaType: MediaType,
    settings: ConversionSettings,
    signal: AbortSignal,
  ): Promise<OpenDocument>;
}
