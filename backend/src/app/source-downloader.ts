/** Print data from wherever a job says they lie (S1207): an upload in intake's store, or an http or https URL. */
import type { BlobStore } from "../ports/blob.ts";
import type { Download, Downloader } from "../ports/downloader.ts";
import { documentIdOf, unknownDocument } from "./documents.ts";

export class SourceDownloader implements Downloader {
  readonly #documents: BlobStore;
  readonly #web: Downloader;
  constructor(documents: BlobStore, web: Downloader) {
    this.#documents = documents;
    this.#web = web;
  }

  /** As the port; also throws `document-unknown`. */
  async open(uri: string, signal: AbortSignal): Promise<Download> {
    const documentId = documentIdOf(uri);
    if (documentId === undefined) return this.#web.open(uri, signal);
    const blob = await this.#documents.get(documentId);
    if (!blob) throw unknownDocument(documentId);
    return { declaredBytes: blob.sizeBytes, bytes: blob.bytes(), [Symbol.asyncDispose]: async () => {} };
  }
}
