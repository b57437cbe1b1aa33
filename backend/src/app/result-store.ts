/**
 * DB002 as printers see it (S1501 to S1508): the metafile and the pages of an identification id, for whoever holds the
 * session's token. A page that is not converted yet holds its request until it is.
 */
import { isErrorCode, PlatenError } from "@platen/proto";
import { isTokenGood, type ResultRecord } from "../domain/session.ts";
import type { Blob } from "../ports/blob.ts";
import { metafileBlobKey, pageBlobKey, pageKey, type SessionStores } from "./session-stores.ts";

/** S1504, S1506: unknown, wrong and expired are one refusal, so that asking teaches nothing. */
const refusal = () =>
  new PlatenError("identification-unknown", "bad identification id, or its token is wrong or has expired");

export class ResultStore {
  readonly #stores: SessionStores;
  readonly #now: () => number;
  constructor(stores: SessionStores, now: () => number) {
    this.#stores = stores;
    this.#now = now;
  }

  /** S1507. Throws `identification-unknown`. */
  async metafile(identificationId: string, token: string): Promise<Blob> {
    const result = await this.#authorized(identificationId, token);
    return (await this.#stores.converted.get(metafileBlobKey(result.location))) ?? gone();
  }

  /** Waits for the page. Throws `identification-unknown`, `page-unavailable`, or the code with which the conversion failed. */
  async page(
    identificationId: string,
    pageNumber: number,
    token: string,
    signal: AbortSignal,
  ): Promise<Blob> {
    const result = await this.#authorized(identificationId, token);
    if (!(pageNumber >= 1 && pageNumber <= result.impressions)) {
      throw new PlatenError(
        "page-unavailable",
        `there is no page ${pageNumber}: the job has ${result.impressions}`,
      );
    }
    const ready = await this.#stores.pages.get(pageKey(identificationId, pageNumber));
    if (!ready) await this.#untilReady(identificationId, pageNumber, signal);
    return (await this.#stores.converted.get(pageBlobKey(result.location, pageNumber))) ?? gone();
  }

  async #authorized(identificationId: string, token: string): Promise<ResultRecord> {
    const result = await this.#stores.results.get(identificationId);
    if (!result) throw refusal(); // S1504
    const issued = await this.#stores.tokens.get(result.value.dbIndex);
    if (!issued || !isTokenGood(issued.value, token, this.#now())) throw refusal(); // S1506
    return result.value;
  }

  async #untilReady(identificationId: string, pageNumber: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    const ready = async () => {
      for await (const page of this.#stores.pages.watch(pageKey(identificationId, pageNumber), either))
        if (page) return;
    };
    const failed = async () => {
      for await (const result of this.#stores.results.watch(identificationId, either)) {
        if (!result) throw refusal();
        if (result.failure) {
          const { code, message } = result.failure;
          throw new PlatenError(isErrorCode(code) ? code : "page-unavailable", message);
        }
      }
    };
    try {
      await Promise.race([ready(), failed()]);
      signal.throwIfAborted();
    } finally {
      over.abort();
    }
  }
}

function gone(): never {
  throw new PlatenError("page-unavailable", "the converted data are gone: the job has ended");
}
