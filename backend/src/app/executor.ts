/**
 * An executor, SVC003: answers any single request of any session from what the shared stores hold, and keeps nothing itself.
 * Every request carries a request id: a repeat of the same one (a retry after a lost answer or a lost executor) gets the
 * first answer again, another one gets the refusal.
 */
import type { ConversionSettings } from "@platen/proto";
import { hasCode, PlatenError } from "@platen/proto";
import { type DbIndex, dbIndexOf, type IdentificationId, type Session } from "../domain/ids.ts";
import { DocumentHead } from "../domain/media-type.ts";
import { issueToken, type SessionRecord } from "../domain/session.ts";
import type { MediaType } from "../ports/converter.ts";
import type { Downloader } from "../ports/downloader.ts";
import { type Conversion, type ConversionProgress, conversion } from "./conversion.ts";
import { deleteResult, type SessionStores, sourceKey } from "./session-stores.ts";

export interface ExecutorDependencies extends Conversion {
  readonly stores: SessionStores;
  readonly downloader: Downloader;
  readonly now: () => number;
  readonly tokenTtlMs: number;
  readonly downloadMaxBytes: number;
}

export interface IssuedToken {
  readonly token: string;
  readonly expiresMs: number;
}

export interface Downloaded {
  readonly sizeBytes: number;
  readonly mediaType: MediaType;
}

const sessionName = ({ jobId, printerId }: Session): string => `of job ${jobId} on printer ${printerId}`;

export class Executor {
  readonly #deps: ExecutorDependencies;
  constructor(dependencies: ExecutorDependencies) {
    this.#deps = dependencies;
  }

  /** S1101 to S1111. Throws `session-exists`. */
  async requestToken(requestId: string, session: Session): Promise<IssuedToken> {
    const { stores, now, tokenTtlMs } = this.#deps;
    const dbIndex = dbIndexOf(session);
    const record: SessionRecord = { ...session, createdMs: now(), tokenRequestId: requestId };
    try {
      // S1106: of two simultaneous requests exactly one creates the record.
      await stores.sessions.create(dbIndex, record);
    } catch (error) {
      if (!hasCode(error, "conflict")) throw error;
      const existing = await stores.sessions.get(dbIndex);
      if (existing?.value.tokenRequestId !== requestId) {
        throw new PlatenError("session-exists", `there is a session ${sessionName(session)} already`); // S1105
      }
    }
    const previous = await stores.tokens.get(dbIndex);
    const { token, record: issued } = issueToken(previous?.value, now(), tokenTtlMs);
    await stores.tokens.put(dbIndex, issued); // S1109
    return { token, expiresMs: issued.expiresMs };
  }

  /** S1201 to S1213. Throws `session-missing`, or one of the download's codes. */
  async download(
    requestId: string,
    session: Session,
    uri: string,
    executorId: string,
    signal: AbortSignal,
  ): Promise<Downloaded> {
    const { stores } = this.#deps;
    const dbIndex = dbIndexOf(session);
    const record = await this.#session(session); // S1206
    if (record.download)
      return repeated(
        record.download,
        requestId,
        `the print data ${sessionName(session)} are downloaded already`,
      );

    const { sizeBytes, mediaType } = await this.#fetch(dbIndex, uri, signal); // S1207 to S1209
    const changed = await stores.sessions.change(
      dbIndex,
      (present) =>
        present.download
          ? present
          : {
              ...present,
              download: { requestId, sourceKey: sourceKey(dbIndex), sizeBytes, mediaType, executorId },
            }, // S1210
    );
    if (!changed?.download) {
      // The session ended meanwhile: nothing of it may stay.
      await stores.sources.delete(dbIndex);
      throw missing(session);
    }
    return repeated(
      changed.download,
      requestId,
      `the print data ${sessionName(session)} are downloaded already`,
    ); // S1211
  }

  /** S1301 to S1318. Throws `session-missing`, `source-missing`, or one of the conversion's codes. */
  async *convert(
    requestId: string,
    session: Session,
    settings: ConversionSettings,
    signal: AbortSignal,
  ): AsyncIterable<ConversionProgress> {
    const record = await this.#session(session); // S1305
    if (!record.download)
      throw new PlatenError(
        "source-missing",
        `the print data ${sessionName(session)} are not downloaded yet`,
      );
    if (record.conversion && record.conversion.requestId !== requestId) {
      throw new PlatenError("conflict", `the print data ${sessionName(session)} are being converted already`);
    }
    yield* conversion(
      this.#deps,
      { requestId, session, settings, download: record.download, previous: record.conversion },
      signal,
    );
  }

  /** S1601 to S1610, claim 3. Throws `session-missing`. */
  async complete(session: Session, identificationId: IdentificationId | undefined): Promise<void> {
    const { stores } = this.#deps;
    const dbIndex = dbIndexOf(session);
    const record = await this.#session(session); // S1605
    const ids = new Set([identificationId, record.conversion?.identificationId]);
    for (const id of ids) if (id && (await this.#isOwn(id, dbIndex))) await deleteResult(stores, id); // S1606 to S1608
    await stores.sources.delete(dbIndex); // left where the conversion failed
    await stores.tokens.delete(dbIndex);
    await stores.sessions.delete(dbIndex); // last, so that a crash before it leaves what a repeat needs
  }

  /** A completion request must not delete the data of another session. */
  async #isOwn(identificationId: string, dbIndex: DbIndex): Promise<boolean> {
    const result = await this.#deps.stores.results.get(identificationId);
    return result === undefined || result.value.dbIndex === dbIndex;
  }

  async #session(session: Session): Promise<SessionRecord> {
    const stored = await this.#deps.stores.sessions.get(dbIndexOf(session));
    if (!stored) throw missing(session);
    return stored.value;
  }

  async #fetch(dbIndex: DbIndex, uri: string, signal: AbortSignal): Promise<Downloaded> {
    const { downloader, stores, downloadMaxBytes } = this.#deps;
    const head = new DocumentHead();
    await using download = await downloader.open(uri, signal);
    const { bytes } = download;
    const keepHead = async function* () {
      for await (const chunk of bytes) {
        head.add(chunk);
        yield chunk;
      }
    };
    const key = sourceKey(dbIndex);
    const sizeBytes = await stores.sources.put(key, keepHead(), { maxBytes: downloadMaxBytes, signal });
    try {
      if (sizeBytes === 0) {
        throw new PlatenError("document-damaged", "the document is empty: it has no bytes");
      }
      return { sizeBytes, mediaType: head.mediaType() };
    } catch (error) {
      await stores.sources.delete(key);
      throw error;
    }
  }
}

const missing = (session: Session) =>
  new PlatenError("session-missing", `there is no session ${sessionName(session)}`);

/** The first answer again for the same request id, the refusal for another one. */
function repeated(
  first: NonNullable<SessionRecord["download"]>,
  requestId: string,
  refusal: string,
): Downloaded {
  if (first.requestId !== requestId) throw new PlatenError("conflict", refusal);
  return { sizeBytes: first.sizeBytes, mediaType: first.mediaType };
}
