/** PDF pages by pdf.js. */
import { readFile } from "node:fs/promises";
import type { SKRSContext2D } from "@napi-rs/canvas";
import { PlatenError } from "@platen/proto/metafile";
import {
  AnnotationMode,
  getDocument,
  PasswordException,
  VerbosityLevel,
} from "pdfjs-dist/legacy/build/pdf.mjs";
import type { Matrix } from "../../domain/geometry.ts";
import type { PageSource } from "./page-source.ts";
import { pdfAssets } from "./pdf-assets.ts";

type PdfDocument = Awaited<ReturnType<typeof getDocument>["promise"]>;

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

function openingError(cause: unknown): PlatenError {
  if (cause instanceof PasswordException) {
    return new PlatenError(
      "document-password",
      "the PDF is protected by a password: remove the protection and submit it again",
      { cause },
    );
  }
  return new PlatenError("document-damaged", `the PDF cannot be read: ${reasonOf(cause)}`, { cause });
}

class PdfSource implements PageSource {
  readonly pageCount: number;
  readonly #pdf: PdfDocument;

  constructor(pdf: PdfDocument) {
    this.#pdf = pdf;
    this.pageCount = pdf.numPages;
  }

  async #page<T>(pageNumber: number, use: (page: Awaited<ReturnType<PdfDocument["getPage"]>>) => T) {
    try {
      return await use(await this.#pdf.getPage(pageNumber));
    } catch (cause) {
      const message = `page ${pageNumber} of the PDF cannot be read: ${reasonOf(cause)}`;
      throw new PlatenError("document-damaged", message, { cause });
    }
  }

  size(pageNumber: number) {
    return this.#page(pageNumber, (page) => {
      const { width, height } = page.getViewport({ scale: 1 });
      return { widthPt: width, heightPt: height };
    });
  }

  async draw(pageNumber: number, context: SKRSContext2D, matrix: Matrix): Promise<void> {
    await this.#page(pageNumber, async (page) => {
      const task = page.render({
        canvas: null,
        // A canvas of Skia for one of the DOM: pdf.js asks no more of it.
        canvasContext: context as never,
        viewport: page.getViewport({ scale: 1 }),
        transform: [...matrix],
        // What is on the canvas already stays: other pages of a number-up side.
        background: "rgba(0,0,0,0)",
        // Annotations with the Print flag, form fields as they are filled, layers as they print.
        intent: "print",
        annotationMode: AnnotationMode.ENABLE,
      });
      await task.promise;
      page.cleanup();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pdf.loadingTask.destroy();
  }
}

/** Throws `document-password` and `document-damaged`. */
export async function openPdf(path: string): Promise<PageSource> {
  const file = await readFile(path);
  try {
    const pdf = await getDocument({
      ...pdfAssets,
      // A Buffer is refused, a view of the same bytes is not.
      data: new Uint8Array(file.buffer, file.byteOffset, file.byteLength),
      // Glyphs as paths: a canvas without a document loads no fonts of its own.
      disableFontFace: true,
      useSystemFonts: false,
      // An image is never reduced before it is drawn: paper has the dots for it.
      canvasMaxAreaInBytes: -1,
      verbosity: VerbosityLevel.ERRORS,
    }).promise;
    if (pdf.numPages < 1) throw new Error("it has no pages");
    return new PdfSource(pdf);
  } catch (cause) {
    throw openingError(cause);
  }
}
