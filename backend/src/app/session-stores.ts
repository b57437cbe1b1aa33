/** The stores that all executors and result stores share (SE001, DB001, DB002, DB004): where a session's things lie. */
import type { DbIndex, IdentificationId } from "../domain/ids.ts";
import {
  type PageRecord,
  pageRecordSchema,
  type ResultRecord,
  resultRecordSchema,
  type SessionRecord,
  sessionRecordSchema,
  type TokenRecord,
  tokenRecordSchema,
} from "../domain/session.ts";
import type { BlobStore } from "../ports/blob.ts";
import type { Storage } from "../ports/storage.ts";
import { Records } from "./records.ts";

export interface SessionStores {
  /** SE001, by DB index. */
  readonly sessions: Records<SessionRecord>;
  /** DB004, by DB index. */
  readonly tokens: Records<TokenRecord>;
  /** DB002, by identification id. */
  readonly results: Records<ResultRecord>;
  /** DB002, pages that are ready, by `pageKey`. */
  readonly pages: Records<PageRecord>;
  /** DB001, by `sourceKey`. */
  readonly sources: BlobStore;
  /** DB002, metafiles and pages. */
  readonly converted: BlobStore;
}

export async function openSessionStores(storage: Storage, ttlMs: number): Promise<SessionStores> {
  const { keyValue, blobs } = storage;
  const [sessions, tokens, results, pages, sources, converted] = await Promise.all([
    keyValue.bucket("sessions", { ttlMs }),
    keyValue.bucket("tokens", { ttlMs }),
    keyValue.bucket("results", { ttlMs }),
    keyValue.bucket("pages", { ttlMs }),
    blobs.store("sources"),
    blobs.store("converted"),
  ]);
  return {
    sessions: new Records(sessions, sessionRecordSchema),
    tokens: new Records(tokens, tokenRecordSchema),
    results: new Records(results, resultRecordSchema),
    pages: new Records(pages, pageRecordSchema),
    sources,
    converted,
  };
}

export const sourceKey = (dbIndex: DbIndex): string => `${dbIndex}/data`;
export const metafileBlobKey = (location: string): string => `${location}/metafile.json`;
export const pageBlobKey = (location: string, pageNumber: number): string =>
  `${location}/pages/${pageNumber}`;
export const pageKey = (identificationId: IdentificationId | string, pageNumber: number): string =>
  `${identificationId}.${pageNumber}`;

/** Deletes the converted data of an identification id, and whatever tells of them. */
export async function deleteResult(stores: SessionStores, identificationId: string): Promise<void> {
  const result = await stores.results.get(identificationId);
  // The record goes first: from then on nobody is told that pages are still to come.
  await stores.results.delete(identificationId);
  for await (const page of stores.pages.all(identificationId)) await stores.pages.delete(page.key);
  await stores.converted.delete(result?.value.location ?? identificationId);
}
