/**
 * The blob port on JetStream, for hosts that share no disk. Like NATS's own Object Store it keeps a blob as chunks and, when
 * all of them are there, a message about the blob; unlike the client library's it holds only a few chunks in memory, reads
 * from any byte, and deletes a prefix in one request. (The library buffers as much as its source gives.)
 *
 * Subjects, of the store `s` and the key `a/b.c` ("." becomes "~", which no key has):
 *   platen.blob.s.info.a.b~c.=              the blob's size and the id of its upload
 *   platen.blob.s.data.a.b~c.=.upload.n     chunk n of an upload
 *   platen.blob.s.upload.a.b~c.=.upload     as long as an upload is under way
 * so that `platen.blob.s.*.a.b~c.>` is the blob, all under it, and all that crashed uploads left there.
 */
import { randomBytes } from "node:crypto";
import { PlatenError } from "@platen/proto";
import { DiscardPolicy, Empty, type StoredMsg } from "nats";
import type { Blob, BlobInfo, BlobStore, BlobStores, PutOptions } from "../../ports/blob.ts";
import { checkBlobKey, checkStoreName } from "../../ports/names.ts";
import { guarded } from "../byte-stream.ts";
import { apiErrorCode, apiErrorOf, type NatsLink } from "./link.ts";

/** A quarter of the server's default limit; more does not go faster. */
const chunkBytes = 256 * 1024;
/** How many chunks of a blob are under way at a time, in either direction. */
const windowChunks = 4;
/** An upload without a blob that began so long ago was left by a process that died. */
const uploadAbandonedMs = 24 * 3_600_000;

/** What the info message of a blob says. */
interface Info {
  readonly upload: string;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
}

interface Found extends Info {
  readonly sequence: number;
  readonly modifiedMs: number;
}

/** Opens blob stores on a connection that stays the caller's. */
export function openNatsBlobStores(link: NatsLink): BlobStores {
  return {
    async store(name: string): Promise<BlobStore> {
      checkStoreName(name);
      const stream = `platen-blob-${name}`;
      const subject = `platen.blob.${name}`;
      await link.ensureStream({
        name: stream,
        subjects: [`${subject}.>`],
        max_msgs_per_subject: 1,
        discard: DiscardPolicy.New,
        allow_direct: true,
      });
      const store = new NatsBlobStore(link, stream, subject);
      await store.sweep();
      return store;
    },
    async [Symbol.asyncDispose](): Promise<void> {},
  };
}

class NatsBlobStore implements BlobStore {
  readonly #link: NatsLink;
  readonly #stream: string;
  readonly #subject: string;

  constructor(link: NatsLink, stream: string, subject: string) {
    this.#link = link;
    this.#stream = stream;
    this.#subject = subject;
  }

  async put(key: string, bytes: AsyncIterable<Uint8Array>, options: PutOptions = {}): Promise<number> {
    checkBlobKey(key);
    const upload = newUpload();
    try {
      const { sizeBytes, count } = await this.#putChunks(key, upload, guarded(bytes, options));
      await this.#putInfo(key, { upload, sizeBytes, chunkBytes });
      if ((await this.#subjects(this.#chunksOf(key, upload))).length !== count)
        await this.#dropBroken(key, upload);
      await this.#purge(this.#uploadOf(key, upload));
      return sizeBytes;
    } catch (error) {
      // If this fails too, whoever deletes the key or opens the store next removes what is left.
      await this.#dropUpload(key, upload).catch(() => {});
      throw error;
    }
  }

  async get(key: string): Promise<Blob | undefined> {
    checkBlobKey(key);
    const info = await this.#info(key);
    if (info === undefined) return undefined;
    const { sizeBytes, chunkBytes } = info;
    const read = (n: number) => this.#readChunk(key, info.upload, n);
    return {
      sizeBytes,
      version: info.upload,
      async *bytes(startByte = 0) {
        const count = Math.ceil(sizeBytes / chunkBytes);
        const first = Math.floor(startByte / chunkBytes);
        const ahead: Promise<Uint8Array>[] = [];
        for (let n = first; n < count; n++) {
          while (ahead.length < windowChunks && n + ahead.length < count)
            ahead.push(quiet(read(n + ahead.length)));
          const chunk = await ahead.shift()!;
          yield n === first ? chunk.subarray(startByte - first * chunkBytes) : chunk;
        }
      },
    };
  }

  async delete(key: string): Promise<void> {
    checkBlobKey(key);
    await this.#purge(`${this.#subject}.*.${tokensOf(key)}.>`);
  }

  async *list(prefix?: string): AsyncGenerator<BlobInfo> {
    if (prefix !== undefined) checkBlobKey(prefix);
    const root = `${this.#subject}.info.`;
    const filter = prefix === undefined ? `${root}>` : `${root}${tokensOf(prefix)}.>`;
    for (const subject of await this.#subjects(filter)) {
      const key = keyOf(subject.slice(root.length));
      const info = await this.#info(key);
      if (info) yield { key, sizeBytes: info.sizeBytes, modifiedMs: info.modifiedMs };
    }
  }

  /** Removes what uploads left that never came to an end. */
  async sweep(): Promise<void> {
    const root = `${this.#subject}.upload.`;
    for (const subject of await this.#subjects(`${root}>`)) {
      const end = subject.lastIndexOf(".");
      const [key, upload] = [keyOf(subject.slice(root.length, end)), subject.slice(end + 1)];
      if (startOfUpload(upload) < Date.now() - uploadAbandonedMs) await this.#dropUpload(key, upload);
    }
  }

  /** Publishes the bytes as chunks of one size, a few at a time. */
  async #putChunks(
    key: string,
    upload: string,
    bytes: AsyncIterable<Uint8Array>,
  ): Promise<{ sizeBytes: number; count: number }> {
    const underWay: Promise<unknown>[] = [];
    let sizeBytes = 0;
    let count = 0;
    const publish = async (subject: string, data: Uint8Array) => {
      if (underWay.length === windowChunks) await underWay.shift();
      underWay.push(quiet(this.#publish(subject, data)));
    };
    try {
      await publish(this.#uploadOf(key, upload), Empty);
      for await (const chunk of chunked(bytes)) {
        await publish(this.#chunkOf(key, upload, count++), chunk);
        sizeBytes += chunk.byteLength;
      }
      await Promise.all(underWay);
      return { sizeBytes, count };
    } finally {
      // None may arrive after what an upload that failed left was removed.
      await Promise.allSettled(underWay);
    }
  }

  /** Makes the upload the blob. Of several at the same time each replaces exactly one other, and removes its chunks. */
  async #putInfo(key: string, info: Info): Promise<void> {
    for (;;) {
      const replaced = await this.#info(key);
      try {
        await this.#publish(this.#infoOf(key), JSON.stringify(info), replaced?.sequence ?? 0);
        if (replaced) await this.#purge(this.#chunksOf(key, replaced.upload));
        return;
      } catch (error) {
        if (apiErrorOf(error) !== apiErrorCode.wrongLastSequence) throw error;
        // Also when the answer to the first attempt was lost.
        if ((await this.#info(key))?.upload === info.upload) return;
      }
    }
  }

  /** Chunks are missing: the key was deleted while they were written, unless the blob was deleted or replaced since. */
  async #dropBroken(key: string, upload: string): Promise<void> {
    const info = await this.#info(key);
    if (info?.upload !== upload) return;
    await this.#link.call("delete a blob", () =>
      this.#link.manager.streams.deleteMessage(this.#stream, info.sequence, false),
    );
    throw new PlatenError("unavailable", `${key} was deleted while it was written`);
  }

  /** Removes an upload, unless it is the blob. */
  async #dropUpload(key: string, upload: string): Promise<void> {
    if ((await this.#info(key))?.upload !== upload) await this.#purge(this.#chunksOf(key, upload));
    await this.#purge(this.#uploadOf(key, upload));
  }

  async #info(key: string): Promise<Found | undefined> {
    const message = await this.#last(this.#infoOf(key));
    return (
      message && { ...(message.json() as Info), sequence: message.seq, modifiedMs: message.time.getTime() }
    );
  }

  /** The message of a subject, from the stream's leader: what was written a moment ago is there. */
  async #last(subject: string): Promise<StoredMsg | undefined> {
    try {
      return await this.#link.call(
        "read a blob",
        () => this.#link.manager.streams.getMessage(this.#stream, { last_by_subj: subject }),
        { idempotent: true, refusals: [apiErrorCode.noMessageFound] },
      );
    } catch (error) {
      if (apiErrorOf(error) === apiErrorCode.noMessageFound) return undefined;
      throw error;
    }
  }

  /** From whichever server has it, and only if that one lags behind from the leader. */
  async #readChunk(key: string, upload: string, n: number): Promise<Uint8Array> {
    const subject = this.#chunkOf(key, upload, n);
    const direct = await this.#link.call(
      "read a blob",
      () => this.#link.connection.request(`$JS.API.DIRECT.GET.${this.#stream}.${subject}`),
      { idempotent: true },
    );
    const message = direct.headers?.code === 404 ? await this.#last(subject) : direct;
    if (message === undefined)
      throw new PlatenError("unavailable", `${key} was deleted or replaced meanwhile`);
    return message.data;
  }

  async #publish(subject: string, data: Uint8Array | string, lastSubjectSequence?: number): Promise<void> {
    await this.#link.call(
      "write a blob",
      () =>
        this.#link.js.publish(subject, data, {
          ...(lastSubjectSequence !== undefined && { expect: { lastSubjectSequence } }),
        }),
      { idempotent: true, refusals: [apiErrorCode.wrongLastSequence] },
    );
  }

  async #subjects(filter: string): Promise<string[]> {
    const { state } = await this.#link.call(
      "list blobs",
      () => this.#link.manager.streams.info(this.#stream, { subjects_filter: filter }),
      { idempotent: true },
    );
    return Object.keys(state.subjects ?? {});
  }

  async #purge(filter: string): Promise<void> {
    await this.#link.call("delete a blob", () => this.#link.manager.streams.purge(this.#stream, { filter }), {
      idempotent: true,
    });
  }

  #infoOf(key: string): string {
    return `${this.#subject}.info.${tokensOf(key)}.${endToken}`;
  }

  #uploadOf(key: string, upload: string): string {
    return `${this.#subject}.upload.${tokensOf(key)}.${endToken}.${upload}`;
  }

  #chunkOf(key: string, upload: string, n: number): string {
    return `${this.#subject}.data.${tokensOf(key)}.${endToken}.${upload}.${n}`;
  }

  #chunksOf(key: string, upload: string): string {
    return `${this.#subject}.data.${tokensOf(key)}.${endToken}.${upload}.*`;
  }
}

/** Ends the tokens of a key, so that those of "a" are not the beginning of those of "a/b". */
const endToken = "=";
const tokensOf = (key: string): string => key.replaceAll(".", "~").replaceAll("/", ".");
/** The key of tokens with their end. */
const keyOf = (tokens: string): string =>
  tokens
    .slice(0, -endToken.length - 1)
    .replaceAll(".", "/")
    .replaceAll("~", ".");

const newUpload = (): string => `${Date.now().toString(36)}-${randomBytes(8).toString("hex")}`;
const startOfUpload = (upload: string): number => Number.parseInt(upload, 36);

/** The bytes in chunks of `chunkBytes`, each a buffer of its own; the last one may be smaller. */
async function* chunked(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let chunk = new Uint8Array(chunkBytes);
  let filled = 0;
  for await (const piece of bytes) {
    for (let taken = 0; taken < piece.byteLength; ) {
      const part = piece.subarray(taken, taken + chunkBytes - filled);
      chunk.set(part, filled);
      taken += part.byteLength;
      filled += part.byteLength;
      if (filled < chunkBytes) continue;
      yield chunk;
      chunk = new Uint8Array(chunkBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}

/** A promise that is awaited later, and may fail before. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
