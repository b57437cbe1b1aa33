/**
 * The documents that users upload: each is printed by one job, and deleted when that job ends or when none has used it in
 * time. The bytes lie in the blob store `documents`, who uses them in the bucket of the same name.
 */
import { createHash } from "node:crypto";
import { hasCode, PlatenError } from "@platen/proto";
import { z } from "zod";
import { type DocumentId, type JobId, newDocumentId, parseDocumentId, parseJobId } from "../domain/ids.ts";
import { isEnded } from "../domain/job.ts";
import { DocumentHead } from "../domain/media-type.ts";
import type { BlobStore, BlobStores } from "../ports/blob.ts";
import type { Bucket, KeyValueStore } from "../ports/key-value.ts";
import type { Jobs } from "./jobs.ts";
import { Records } from "./records.ts";

const documentSchema = z.object({
  fileName: z.string(),
  sizeBytes: z.number(),
  sha256Hex: z.string(),
  createdMs: z.number(),
  /** When the record was last written. */
  writtenMs: z.number(),
  /** The job that prints it. */
  jobId: z.string().optional(),
});
export type DocumentRecord = Readonly<z.infer<typeof documentSchema>>;

export interface DocumentsOptions {
  readonly keyValue: KeyValueStore;
  readonly blobs: BlobStores;
  /** Says whether the job that uses a document has ended. */
  readonly jobs: Pick<Jobs, "get">;
  /** Largest upload, bytes; default 512 MiB. */
  readonly maxBytes?: number;
  /** A document that no job uses is deleted after so long; default 24 hours. */
  readonly unusedMs?: number;
  readonly now: () => number;
}

export interface UploadHeader {
  /** For people; may be empty. */
  readonly fileName: string;
  /** What the uploader declares, 0 when it does not. */
  readonly sizeBytes: number;
}

export interface UploadedDocument {
  readonly documentId: DocumentId;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256Hex: string;
  /** When it is deleted if no job uses it, milliseconds since 1970. */
  readonly expiresMs: number;
}

const day = 24 * 60 * 60 * 1000;
/** Longer than any document stays unused; `sweep` writes the records of used ones again, once a day. */
const recordTtlMs = 7 * day;
/** A submission that has claimed its document makes its job well within that time, or has crashed. */
const claimGraceMs = 60 * 60 * 1000;

const uriPrefix = "platen:documents/";

/** The name of the blob store and of the bucket. */
export const documentStoreName = "documents";

/** The URI under which a job knows an upload. */
export const documentUri = (documentId: DocumentId): string => `${uriPrefix}${documentId}`;

/** The upload that a URI names, or undefined for a URI of another kind. Throws `invalid-argument`. */
export const documentIdOf = (uri: string): DocumentId | undefined =>
  uri.startsWith(uriPrefix) ? parseDocumentId(uri.slice(uriPrefix.length)) : undefined;

export const unknownDocument = (documentId: DocumentId): PlatenError =>
  new PlatenError(
    "document-unknown",
    `there is no document ${documentId}: it was never uploaded, or has been deleted`,
  );

export class Documents {
  readonly #records: Records<DocumentRecord>;
  readonly #bucket: Bucket;
  readonly #blobs: BlobStore;
  readonly #jobs: Pick<Jobs, "get">;
  readonly #maxBytes: number;
  readonly #unusedMs: number;
  readonly #now: () => number;

  private constructor(bucket: Bucket, blobs: BlobStore, options: DocumentsOptions) {
    this.#bucket = bucket;
    this.#records = new Records(bucket, documentSchema);
    this.#blobs = blobs;
    this.#jobs = options.jobs;
    this.#maxBytes = options.maxBytes ?? 512 * 1024 * 1024;
    this.#unusedMs = options.unusedMs ?? day;
    this.#now = options.now;
  }

  static async open(options: DocumentsOptions): Promise<Documents> {
    const [bucket, blobs] = await Promise.all([
      options.keyValue.bucket(documentStoreName, { ttlMs: recordTtlMs }),
      options.blobs.store(documentStoreName),
    ]);
    return new Documents(bucket, blobs, options);
  }

  /**
   * Stores a document, as a whole or not at all. Throws `document-too-large`, `document-damaged` (empty), `document-format`,
   * `invalid-argument` (of another size than declared), and `signal`'s reason.
   */
  async upload(
    header: UploadHeader,
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<UploadedDocument> {
    if (header.sizeBytes > this.#maxBytes) throw this.#tooLarge(header.sizeBytes);
    const documentId = newDocumentId();
    const hash = createHash("sha256");
    const checked = checkedBytes(chunks, header.sizeBytes, signal, (chunk) => hash.update(chunk));
    const sizeBytes = await this.#blobs.put(documentId, checked, { maxBytes: this.#maxBytes, signal });
    const sha256Hex = hash.digest("hex");
    const createdMs = this.#now();
    const { fileName } = header;
    await this.#records.create(documentId, {
      fileName,
      sizeBytes,
      sha256Hex,
      createdMs,
      writtenMs: createdMs,
    });
    return { documentId, sizeBytes, sha256Hex, expiresMs: createdMs + this.#unusedMs };
  }

  /** Gives a document to a job; of several jobs exactly one gets it, and gets it again. Throws `document-unknown`, `document-used`. */
  async claim(documentId: DocumentId, jobId: JobId): Promise<DocumentRecord> {
    const record = await this.#records.change(documentId, (present) =>
      present.jobId === undefined ? { ...present, jobId, writtenMs: this.#now() } : present,
    );
    if (!record) throw unknownDocument(documentId);
    if (record.jobId !== jobId) {
      throw new PlatenError(
        "document-used",
        `document ${documentId} is used by job ${record.jobId}: upload it again to print it again`,
      );
    }
    return record;
  }

  /** S111: the job has ended, so its document goes, if it was an upload. May be repeated. */
  async release(jobId: JobId): Promise<void> {
    const job = await this.#jobs.get(jobId);
    const documentId = job && documentIdOf(job.documentUri);
    if (!documentId) return;
    // A crash in between leaves a record that tells `sweep` to go on.
    await this.#blobs.delete(documentId);
    await this.#records.delete(documentId);
  }

  /** Deletes documents that nobody used in time and those of ended jobs, and whatever uploads left that crashed. */
  async sweep(nowMs: number): Promise<void> {
    for await (const { key, value, revision } of this.#records.all()) {
      if (await this.#isWanted(value, nowMs)) {
        if (nowMs - value.writtenMs < day) continue;
        await this.#records.change(key, (present) => ({ ...present, writtenMs: nowMs }));
      } else if (await this.#deleteUnlessChanged(key, revision)) await this.#blobs.delete(key);
    }
    for await (const { key, modifiedMs } of this.#blobs.list()) {
      if (nowMs - modifiedMs >= this.#unusedMs && !(await this.#bucket.get(key)))
        await this.#blobs.delete(key);
    }
  }

  async #isWanted(record: DocumentRecord, nowMs: number): Promise<boolean> {
    if (record.jobId === undefined) return nowMs - record.createdMs < this.#unusedMs;
    const job = await this.#jobs.get(parseJobId(record.jobId));
    return job ? !isEnded(job) : nowMs - record.writtenMs < claimGraceMs;
  }

  /** False when a job claimed the document in the meantime. */
  async #deleteUnlessChanged(key: string, revision: number): Promise<boolean> {
    return this.#bucket.delete(key, revision).then(
      () => true,
      (error: unknown) => {
        if (hasCode(error, "conflict")) return false;
        throw error;
      },
    );
  }

  #tooLarge(sizeBytes: number): PlatenError {
    return new PlatenError(
      "document-too-large",
      `the document has ${sizeBytes} bytes, more than the ${this.#maxBytes} that are allowed`,
    );
  }
}

/**
 * The chunks as they come, each shown to `see`; throws unless they are as many bytes as declared, not none, and begin as
 * something that can be printed.
 */
async function* checkedBytes(
  chunks: AsyncIterable<Uint8Array>,
  declaredBytes: number,
  signal: AbortSignal,
  see: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  let receivedBytes = 0;
  const head = new DocumentHead();
  const refuse = () =>
    receivedBytes === 0
      ? new PlatenError("document-damaged", "the document is empty: it has no bytes")
      : new PlatenError(
          "invalid-argument",
          `the upload has ${receivedBytes} bytes, but ${declaredBytes} were declared`,
        );
  for await (const chunk of chunks) {
    receivedBytes += chunk.length;
    if (declaredBytes > 0 && receivedBytes > declaredBytes) throw refuse();
    if (head.add(chunk)) head.mediaType();
    see(chunk);
    yield chunk;
  }
  // A stream that its sender gave up may end like one that is complete.
  signal.throwIfAborted();
  if (receivedBytes === 0 || (declaredBytes > 0 && receivedBytes !== declaredBytes)) throw refuse();
  head.mediaType();
}
