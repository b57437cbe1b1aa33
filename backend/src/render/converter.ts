/** The converter: documents to pages of bands, in worker processes. */
import { randomUUID } from "node:crypto";
import { realpathSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { type ConversionSettings, PlatenError, PrintColorMode, PrintQuality } from "@platen/proto";
import { type ImposedSide, impose } from "../domain/imposition.ts";
import type { ConvertedPage, Converter, MediaType, OpenDocument } from "../ports/converter.ts";
import { WorkerPool } from "./pool.ts";
import type { BandSettings, DocumentFile, Opened, Rendered } from "./protocol.ts";

export interface ConverterOptions {
  /** Worker processes at most. Default: one a core. */
  readonly workers?: number;
  /** To open a document. Default: 30 seconds. */
  readonly openTimeoutMs?: number;
  /** To render a side. Default: 60 seconds. */
  readonly pageTimeoutMs?: number;
  /** Of one worker process. Default: 2 GiB. */
  readonly memoryLimitBytes?: number;
  /** Where pages are written; must exist. Default: the system's folder for temporary files. */
  readonly tempDir?: string;
  /** A larger side is refused. Default: 600 million, A2 at 1200 dpi. */
  readonly maxImpressionPixels?: number;
  /** A larger side is rendered in strips. Default: 72 million, A3 at 600 dpi; four bytes each. */
  readonly maxCanvasPixels?: number;
}

const defaults = {
  openTimeoutMs: 30_000,
  pageTimeoutMs: 60_000,
  memoryLimitBytes: 2 * 2 ** 30,
  maxImpressionPixels: 600e6,
  maxCanvasPixels: 72e6,
};

type Limits = Required<ConverterOptions>;

/** Skia draws no further from the origin. */
const maxSidePx = 32_767;

const jpegQuality: Readonly<Record<number, number>> = {
  [PrintQuality.DRAFT]: 70,
  [PrintQuality.NORMAL]: 85,
  [PrintQuality.HIGH]: 95,
};

const bandSettings = ({ ticket }: ConversionSettings): BandSettings => ({
  jpegQuality: jpegQuality[ticket?.printQuality ?? PrintQuality.NORMAL] ?? 85,
  monochrome: ticket?.printColorMode === PrintColorMode.MONOCHROME,
});

class ConvertibleDocument implements OpenDocument {
  readonly impressions: readonly ImposedSide[];
  readonly sourceProfile: Uint8Array | undefined;
  readonly #file: DocumentFile;
  readonly #bands: BandSettings;
  readonly #folder: string;
  readonly #pool: WorkerPool;
  readonly #limits: Limits;
  readonly #closed = new AbortController();
  /** Sides that are being rendered. */
  readonly #underWay = new Set<Promise<ConvertedPage>>();

  constructor(
    file: DocumentFile,
    impressions: readonly ImposedSide[],
    sourceProfile: Uint8Array | undefined,
    bands: BandSettings,
    folder: string,
    pool: WorkerPool,
    limits: Limits,
  ) {
    this.#file = file;
    this.impressions = impressions;
    this.sourceProfile = sourceProfile;
    this.#bands = bands;
    this.#folder = folder;
    this.#pool = pool;
    this.#limits = limits;
  }

  async #render(pageNumber: number, signal: AbortSignal): Promise<ConvertedPage> {
    const side = this.impressions[pageNumber - 1];
    if (!side) throw new PlatenError("invalid-argument", `the document has no page ${pageNumber}`);
    const path = join(this.#folder, `${pageNumber}-${randomUUID()}.bands`);
    const { maxCanvasPixels, pageTimeoutMs } = this.#limits;
    try {
      const { kind: _, ...rendered } = await this.#pool.run<Rendered>(
        { kind: "render", document: this.#file, side, bands: this.#bands, maxCanvasPixels, path },
        pageTimeoutMs,
        signal,
      );
      return { pageNumber, path, ...rendered };
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  #begin(pageNumber: number, signal: AbortSignal): Promise<ConvertedPage> {
    const page = this.#render(pageNumber, signal).finally(() => this.#underWay.delete(page));
    this.#underWay.add(page);
    return page;
  }

  async *convert(pageNumbers: readonly number[], signal: AbortSignal): AsyncIterable<ConvertedPage> {
    const ended = new AbortController();
    const any = AbortSignal.any([signal, ended.signal, this.#closed.signal]);
    // As many wait as work, so that no worker idles while the taker stores a page.
    const ahead = 2 * this.#limits.workers;
    const left = [...new Set(pageNumbers)];
    const begun = new Map<number, Promise<ConvertedPage>>();
    try {
      while (left.length || begun.size) {
        for (const pageNumber of left.splice(0, ahead - begun.size)) {
          begun.set(pageNumber, this.#begin(pageNumber, any));
        }
        const page = await Promise.race(begun.values());
        begun.delete(page.pageNumber);
        yield page;
      }
    } finally {
      ended.abort();
      for (const outcome of await Promise.allSettled(begun.values())) {
        if (outcome.status === "fulfilled") await rm(outcome.value.path, { force: true });
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new PlatenError("canceled", "the document was closed"));
    await Promise.allSettled(this.#underWay);
    this.#pool.release(this.#file);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** A converter with processes of its own. Disposing it kills them, and ends what is under way with `canceled`. */
export function createConverter(options: ConverterOptions = {}): Converter {
  const limits: Limits = {
    workers: availableParallelism(),
    ...defaults,
    ...options,
    tempDir: realpathSync(options.tempDir ?? tmpdir()),
  };
  const pool = new WorkerPool(limits);
  const checkSize = ({ widthPx, heightPx }: ImposedSide): void => {
    if (widthPx <= maxSidePx && heightPx <= maxSidePx && widthPx * heightPx <= limits.maxImpressionPixels)
      return;
    throw new PlatenError(
      "document-too-large",
      `a side of ${widthPx} × ${heightPx} pixels is more than this system renders: choose smaller media or a lower printer-resolution`,
    );
  };
  return {
    async open(
      path: string,
      mediaType: MediaType,
      settings: ConversionSettings,
      signal: AbortSignal,
    ): Promise<OpenDocument> {
      const bands = bandSettings(settings);
      // Shades of grey are reckoned in sRGB.
      const file: DocumentFile = { id: randomUUID(), path, mediaType, keepColors: !bands.monochrome };
      const pageRanges = (settings.ticket?.pageRanges ?? []).map(({ firstPage, lastPage }) => ({
        firstPage,
        lastPage,
      }));
      try {
        const { pages, sourceProfileBase64 } = await pool.run<Opened>(
          { kind: "open", document: file, pageRanges },
          limits.openTimeoutMs,
          signal,
        );
        const sides = impose(pages, settings);
        // All have the size of the media.
        sides.slice(0, 1).forEach(checkSize);
        const folder = await mkdtemp(join(limits.tempDir, "platen-pages-"));
        const profile =
          sourceProfileBase64 === undefined ? undefined : Buffer.from(sourceProfileBase64, "base64");
        return new ConvertibleDocument(file, sides, profile, bands, folder, pool, limits);
      } catch (error) {
        pool.release(file);
        throw error;
      }
    },
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}
