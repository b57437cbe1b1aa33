/** A converter without a renderer: every document has as many pages as told, each page one blank band, when the test says so. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BandContent, BandSchema, encodeSizeDelimited, type PlatenError } from "@platen/proto";
import type { ConvertedPage, Converter } from "../ports/converter.ts";

export interface FakeConverter extends Converter {
  /** Pages that were converted, in order, over all documents. */
  readonly converted: number[];
}

export interface FakeConverterOptions {
  pages: number;
  /** Called before each page; what it throws, the conversion throws. Default: nothing. */
  beforePage?: (pageNumber: number, signal: AbortSignal) => Promise<void>;
  /** What opening throws. Default: nothing. */
  openError?: PlatenError;
  /** The colour space of what it converts. */
  sourceProfile?: Uint8Array;
}

const widthPx = 8;
const heightPx = 8;
export const fakePage = encodeSizeDelimited(BandSchema, {
  yPx: 0,
  rowsPx: heightPx,
  content: BandContent.BLANK,
});

export async function createFakeConverter({
  pages,
  beforePage,
  openError,
  sourceProfile,
}: FakeConverterOptions): Promise<FakeConverter> {
  const dir = await mkdtemp(join(tmpdir(), "platen-fake-converter-"));
  const converted: number[] = [];
  const convertPage = async (pageNumber: number, signal: AbortSignal): Promise<ConvertedPage> => {
    await beforePage?.(pageNumber, signal);
    signal.throwIfAborted();
    const path = join(dir, `${converted.push(pageNumber)}`);
    await writeFile(path, fakePage);
    return { pageNumber, path, sizeBytes: fakePage.length, blankBands: 1, greyBands: 0, colorBands: 0 };
  };
  return {
    converted,
    open: async () => {
      if (openError) throw openError;
      return {
        impressions: Array.from({ length: pages }, (_, index) => ({
          pageNumber: index + 1,
          widthPx,
          heightPx,
        })),
        sourceProfile,
        convert: async function* (pageNumbers, signal) {
          for (const pageNumber of pageNumbers) yield await convertPage(pageNumber, signal);
        },
        [Symbol.asyncDispose]: async () => {},
      };
    },
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}
