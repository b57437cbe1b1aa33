/**
 * S1306 to S1317: source data become pages and a metafile. The metafile is final as soon as the document opens (the page count
 * is known then), so the printer starts on page 1 while page 2 converts; pages become ready in any order.
 * A repeat of the request on another executor goes on with the pages that are not ready yet.
 */
import { rm, mkdir, mkdtemp } from "node:fs/promises";
import { createReadStream, createWriteStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { create, toJsonString } from "@bufbuild/protobuf";
import { type ConversionSettings, MetafileSchema, PlatenError, toPlatenError } from "@platen/proto";
import {
  dbIndexOf,
  newIdentificationId,
  parseIdentificationId,
  type IdentificationId,
  type Session,
} from "../domain/ids.ts";
import type { ResultRecord, SessionRecord } from "../domain/session.ts";
import type { ConvertedPage, Converter, OpenDocument } from "../ports/converter.ts";
import { isPassing } from "./retry.ts";
import { deleteResult, metafileBlobKey, pageBlobKey, pageKey, type SessionStores } from "./session-stores.ts";

/** What a conversion needs of its executor. */
export interface Conversion {
  readonly stores: SessionStores;
  readonly converter: Converter;
  /** Base URL of a result store, without a slash at its end (S1314). */
  readonly resultUrl: () => string;
  readonly tempDir: string;
  readonly now: () => number;
}

export interface ConversionRequest {
  readonly requestId: string;
  readonly session: Session;
  readonly settings: ConversionSettings;
  readonly download: NonNullable<SessionRecord["download"]>;
  /** What an earlier attempt at the same request began. */
  readonly previous: SessionRecord["conversion"];
}

export type ConversionProgress =
  | {
      readonly kind: "opened";
      readonly identificationId: IdentificationId;
      readonly metafileUrl: string;
      readonly impressions: number;
    }
  | ({ readonly kind: "page" } & Omit<ConvertedPage, "path">)
  | { readonly kind: "completed"; readonly pages: number };

const opened = (identificationId: IdentificationId, result: ResultRecord): ConversionProgress => ({
  kind: "opened",
  identificationId,
  metafileUrl: result.metafileUrl,
  impressions: result.impressions,
});

export async function* conversion(
  deps: Conversion,
  request: ConversionRequest,
  signal: AbortSignal,
): AsyncIterable<ConversionProgress> {
  if (request.previous?.completed) {
    const identificationId = parseIdentificationId(request.previous.identificationId);
    const result = await deps.stores.results.get(identificationId);
    if (!result) throw new PlatenError("internal", "the converted data of a completed conversion are gone");
    yield opened(identificationId, result.value);
    yield* readyPages(deps.stores, identificationId);
    yield { kind: "completed", pages: result.value.impressions };
    return;
  }
  await mkdir(deps.tempDir, { recursive: true });
  await using work = await workFolder(deps.tempDir);
  const path = join(work.path, "source");
  await fetchSource(deps.stores, request.download.sourceKey, path, signal); // S1306, S1307
  await using document = await deps.converter.open(
    path,
    request.download.mediaType,
    request.settings,
    signal,
  );
  const identificationId = await claim(deps.stores, request); // S1309
  try {
    yield opened(identificationId, await publish(deps, request, identificationId, document));
    const done = new Set<number>();
    for await (const page of readyPages(deps.stores, identificationId)) {
      done.add(page.pageNumber);
      yield page;
    }
    const missing = document.impressions.map((one) => one.pageNumber).filter((number) => !done.has(number));
    for await (const page of document.convert(missing, signal)) {
      yield await store(deps.stores, request.session, identificationId, page, signal);
    }
  } catch (error) {
    // After what passes by itself the request comes again, and its pages with it.
    if (!signal.aborted && !isPassing(error, signal)) await fail(deps.stores, identificationId, error);
    throw error;
  }
  await deps.stores.sessions.change(dbIndexOf(request.session), (present) =>
    present.conversion ? { ...present, conversion: { ...present.conversion, completed: true } } : present,
  );
  await deps.stores.sources.delete(request.download.sourceKey); // S1316
  yield { kind: "completed", pages: document.impressions.length }; // S1317
}

async function workFolder(tempDir: string) {
  const path = await mkdtemp(join(tempDir, "convert-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function fetchSource(
  stores: SessionStores,
  key: string,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const source = await stores.sources.get(key);
  if (!source) throw new PlatenError("source-missing", "the downloaded print data are gone");
  await pipeline(source.bytes(), createWriteStream(path), { signal });
}

/** Writes the identification id into the session record, so that every attempt at this request uses the same one. */
async function claim(
  stores: SessionStores,
  { session, requestId }: ConversionRequest,
): Promise<IdentificationId> {
  const identificationId = newIdentificationId();
  const record = await stores.sessions.change(dbIndexOf(session), (present) =>
    present.conversion
      ? present
      : { ...present, conversion: { requestId, identificationId, completed: false } },
  );
  if (!record?.conversion)
    throw new PlatenError("session-missing", "the session ended while its data were being converted");
  if (record.conversion.requestId !== requestId)
    throw new PlatenError("conflict", "the print data are being converted already");
  return parseIdentificationId(record.conversion.identificationId);
}

/** S1308, S1310 to S1315: metafile and result record; from here on the printer can be told. */
async function publish(
  { stores, resultUrl, now }: Conversion,
  { session, settings }: ConversionRequest,
  identificationId: IdentificationId,
  document: OpenDocument,
): Promise<ResultRecord> {
  const existing = await stores.results.get(identificationId);
  if (existing) return existing.value;
  const base = `${resultUrl()}/v1/results/${identificationId}`;
  const metafile = create(MetafileSchema, {
    identificationId,
    session,
    jobName: settings.jobName,
    ...(settings.ticket && { ticket: settings.ticket }),
    mediaWidthUm: settings.mediaWidthUm,
    mediaHeightUm: settings.mediaHeightUm,
    resolutionDpi: settings.ticket?.printerResolutionDpi ?? 0,
    ...(document.sourceProfile && { sourceProfile: document.sourceProfile }),
    pages: document.impressions.map((page) => ({ ...page, url: `${base}/pages/${page.pageNumber}` })),
  });
  const location = identificationId; // S1312
  const json = Buffer.from(toJsonString(MetafileSchema, metafile));
  await stores.converted.put(metafileBlobKey(location), once(json));
  const result: ResultRecord = {
    dbIndex: dbIndexOf(session),
    ...session,
    location,
    metafileUrl: `${base}/metafile`,
    impressions: document.impressions.length,
    createdMs: now(),
  };
  await stores.results.put(identificationId, result);
  return result;
}

// oxlint-disable-next-line require-await -- an async iterable of one
async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

async function* readyPages(stores: SessionStores, identificationId: IdentificationId) {
  for await (const { key, value } of stores.pages.all(identificationId)) {
    yield { kind: "page" as const, pageNumber: Number(key.slice(key.lastIndexOf(".") + 1)), ...value };
  }
}

async function store(
  stores: SessionStores,
  session: Session,
  identificationId: IdentificationId,
  { path, ...page }: ConvertedPage,
  signal: AbortSignal,
): Promise<ConversionProgress> {
  const { pageNumber, ...record } = page;
  // Not over one that printers may be reading: another executor was quicker, whose request had seemed lost.
  if (!(await stores.pages.get(pageKey(identificationId, pageNumber)))) {
    await stores.converted.put(pageBlobKey(identificationId, pageNumber), createReadStream(path), { signal });
    await stores.pages.put(pageKey(identificationId, pageNumber), record);
  }
  await rm(path, { force: true });
  if (!(await stores.sessions.get(dbIndexOf(session)))) {
    // S112 came first: what was just written must not stay.
    await deleteResult(stores, identificationId);
    throw new PlatenError("session-missing", "the session ended while its data were being converted");
  }
  return { kind: "page", ...page };
}

/** Tells printers that wait for a page that it will not come. */
async function fail(
  stores: SessionStores,
  identificationId: IdentificationId,
  error: unknown,
): Promise<void> {
  const { code, message } = toPlatenError(error);
  await stores.results.change(identificationId, (result) => ({ ...result, failure: { code, message } }));
}
