import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { ConversionSettingsSchema, type ErrorCode, MetafileSchema, PlatenError } from "@platen/proto";
import { fromJsonString } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStorage } from "../adapters/storage.ts";
import { dbIndexOf, type IdentificationId, parseSession } from "../domain/ids.ts";
import type { Downloader } from "../ports/downloader.ts";
import type { Storage } from "../ports/storage.ts";
import { createFakeConverter, fakePage, type FakeConverterOptions } from "../testing/fake-converter.ts";
import type { ConversionProgress } from "./conversion.ts";
import { Executor } from "./executor.ts";
import { ResultStore } from "./result-store.ts";
import { openSessionStores, type SessionStores } from "./session-stores.ts";

const session = parseSession({ jobId: "job-1", printerId: "printer-1" });
const other = parseSession({ jobId: "job-1", printerId: "printer-2" });
const settings = create(ConversionSettingsSchema, {
  jobName: "a job",
  ticket: { printerResolutionDpi: 300 },
});
const tokenTtlMs = 60_000;
const url = "http://example.test/document.pdf";

let nowMs = 1_700_000_000_000;
let dataDir: string;
let storage: Storage;
let stores: SessionStores;
const never = new AbortController().signal;

/** Answers every URL with the same bytes, or throws what it is told. */
const webOf = (content: Uint8Array | PlatenError): Downloader => ({
  open: async () => {
    if (content instanceof PlatenError) throw content;
    const bytes = (async function* () {
      yield content;
    })();
    return { declaredBytes: content.length, bytes, [Symbol.asyncDispose]: async () => {} };
  },
});

const aPdf = Buffer.from("%PDF-1.7 of a kind");

async function executorWith(converter: FakeConverterOptions, content: Uint8Array | PlatenError = aPdf) {
  const fake = await createFakeConverter(converter);
  const executor = new Executor({
    stores,
    downloader: webOf(content),
    converter: fake,
    resultUrl: () => "https://results.example.test",
    tempDir: join(dataDir, "work"),
    now: () => nowMs,
    tokenTtlMs,
    downloadMaxBytes: 1000,
  });
  return { executor, fake };
}

const refusal = (code: ErrorCode) => expect.objectContaining({ code });

async function collect(progress: AsyncIterable<ConversionProgress>): Promise<ConversionProgress[]> {
  const all: ConversionProgress[] = [];
  for await (const one of progress) all.push(one);
  return all;
}

/** Walks a session up to a finished conversion. */
async function converted(executor: Executor) {
  const { token } = await executor.requestToken("t", session);
  await executor.download("d", session, url, "e1", never);
  const [opened] = await collect(executor.convert("c", session, settings, never));
  if (opened?.kind !== "opened") throw new Error("not opened first");
  return { token, ...opened };
}

async function everythingStored(): Promise<string[]> {
  const left: string[] = [];
  for (const records of [stores.sessions, stores.tokens, stores.results, stores.pages]) {
    for await (const record of records.all()) left.push(record.key);
  }
  for (const blobs of [stores.sources, stores.converted])
    for await (const blob of blobs.list()) left.push(blob.key);
  return left;
}

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "platen-executor-"));
  storage = await openStorage({ kind: "embedded", dataDir });
  stores = await openSessionStores(storage, 3_600_000);
});
afterEach(async () => {
  await storage[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true, force: true });
});

describe("token request", () => {
  it("S1106 to S1110: creates the session record and answers with a token of 256 bits that no store holds", async () => {
    const { executor } = await executorWith({ pages: 1 });
    const { token, expiresMs } = await executor.requestToken("t", session);
    expect(Buffer.from(token, "base64url")).toHaveLength(32);
    expect(expiresMs).toBe(nowMs + tokenTtlMs);
    const stored = await stores.tokens.get(dbIndexOf(session));
    expect(stored?.value.hashes).toEqual([createHash("sha256").update(token).digest("hex")]);
    expect(
      JSON.stringify([(await stores.sessions.get(dbIndexOf(session)))?.value, stored?.value]),
    ).not.toContain(token);
  });

  it("S1105, S1111: refuses a session that exists, and changes nothing of it", async () => {
    const { executor } = await executorWith({ pages: 1 });
    await executor.requestToken("t", session);
    const before = [
      await stores.sessions.get(dbIndexOf(session)),
      await stores.tokens.get(dbIndexOf(session)),
    ];
    await expect(executor.requestToken("another", session)).rejects.toEqual(refusal("session-exists"));
    expect([
      await stores.sessions.get(dbIndexOf(session)),
      await stores.tokens.get(dbIndexOf(session)),
    ]).toEqual(before);
  });

  it("S1106: of ten simultaneous requests exactly one creates the session", async () => {
    const { executor } = await executorWith({ pages: 1 });
    const requests = Array.from({ length: 10 }, (_, n) => executor.requestToken(`t${n}`, session));
    const settled = await Promise.allSettled(requests);
    expect(settled.filter((one) => one.status === "fulfilled")).toHaveLength(1);
    for (const one of settled)
      if (one.status === "rejected") expect(one.reason).toEqual(refusal("session-exists"));
  });

  it("a repeat of the same request gets a token again, and the first one stays good", async () => {
    const { executor } = await executorWith({ pages: 1 });
    const { token: first, identificationId } = await converted(executor);
    const { token: second } = await executor.requestToken("t", session);
    expect(second).not.toBe(first);
    const results = new ResultStore(stores, () => nowMs);
    for (const token of [first, second]) await results.metafile(identificationId, token);
  });

  it("tells the sessions of one job on two printers apart", async () => {
    const { executor } = await executorWith({ pages: 1 });
    await executor.requestToken("t", session);
    await executor.requestToken("t2", other);
    expect(dbIndexOf(session)).not.toBe(dbIndexOf(other));
  });
});

describe("download request", () => {
  it("S1206, S1213: refuses without a session record", async () => {
    const { executor } = await executorWith({ pages: 1 });
    await expect(executor.download("d", session, url, "e1", never)).rejects.toEqual(
      refusal("session-missing"),
    );
    expect(await everythingStored()).toEqual([]);
  });

  it("S1208, S1212: hands on the download's error and stores nothing", async () => {
    const { executor } = await executorWith({ pages: 1 }, new PlatenError("download-failed", "404"));
    await executor.requestToken("t", session);
    await expect(executor.download("d", session, url, "e1", never)).rejects.toEqual(
      refusal("download-failed"),
    );
    expect((await stores.sessions.get(dbIndexOf(session)))?.value.download).toBeUndefined();
    expect(await everythingStored()).toHaveLength(2);
  });

  it("S1209, S1210: saves the data and writes their path into the session record", async () => {
    const { executor } = await executorWith({ pages: 1 });
    await executor.requestToken("t", session);
    const done = await executor.download("d", session, url, "e1", never);
    expect(done).toEqual({ sizeBytes: aPdf.length, mediaType: "application/pdf" });
    const download = (await stores.sessions.get(dbIndexOf(session)))?.value.download;
    expect(download).toMatchObject({ executorId: "e1", requestId: "d" });
    expect((await stores.sources.get(download!.sourceKey))?.sizeBytes).toBe(aPdf.length);
  });

  it("a repeat of the same request gets the first answer, another request the refusal", async () => {
    const { executor } = await executorWith({ pages: 1 });
    await executor.requestToken("t", session);
    const first = await executor.download("d", session, url, "e1", never);
    expect(await executor.download("d", session, url, "e2", never)).toEqual(first);
    await expect(executor.download("d2", session, url, "e2", never)).rejects.toEqual(refusal("conflict"));
  });

  it.each([
    ["empty data", new Uint8Array(0), "document-damaged"],
    ["data of an unknown kind", Buffer.from("just a text"), "document-format"],
    ["data over the size limit", Buffer.alloc(2000, "%PDF-"), "document-too-large"],
  ] as const)("refuses %s and keeps nothing of them", async (_, content, code) => {
    const { executor } = await executorWith({ pages: 1 }, content);
    await executor.requestToken("t", session);
    await expect(executor.download("d", session, url, "e1", never)).rejects.toEqual(refusal(code));
    expect(await everythingStored()).toHaveLength(2);
  });
});

describe("convert request", () => {
  it("S1305, S1318: refuses without a session record", async () => {
    const { executor } = await executorWith({ pages: 1 });
    await expect(collect(executor.convert("c", session, settings, never))).rejects.toEqual(
      refusal("session-missing"),
    );
  });

  it("refuses before the download", async () => {
    const { executor } = await executorWith({ pages: 1 });
    await executor.requestToken("t", session);
    await expect(collect(executor.convert("c", session, settings, never))).rejects.toEqual(
      refusal("source-missing"),
    );
  });

  it("S1308 to S1317: metafile first and final, then the pages; the source data are deleted", async () => {
    const sourceProfile = Uint8Array.of(1, 2, 3);
    const { executor } = await executorWith({ pages: 3, sourceProfile });
    const { token } = await executor.requestToken("t", session);
    await executor.download("d", session, url, "e1", never);
    const results = new ResultStore(stores, () => nowMs);
    const kinds: string[] = [];
    let firstMetafile: string | undefined;
    let identificationId = "" as IdentificationId;
    const metafile = async () =>
      Buffer.concat(
        await Array.fromAsync((await results.metafile(identificationId, token)).bytes()),
      ).toString();
    for await (const progress of executor.convert("c", session, settings, never)) {
      kinds.push(progress.kind);
      if (progress.kind === "opened") {
        identificationId = progress.identificationId;
        firstMetafile = await metafile();
        expect(progress.metafileUrl).toBe(
          `https://results.example.test/v1/results/${identificationId}/metafile`,
        );
      }
    }
    expect(kinds).toEqual(["opened", "page", "page", "page", "completed"]);
    expect(await metafile()).toBe(firstMetafile);
    const parsed = fromJsonString(MetafileSchema, firstMetafile!);
    expect(parsed).toMatchObject({ identificationId, jobName: "a job", resolutionDpi: 300, sourceProfile });
    expect(parsed.pages.map((page) => page.url.split("/").slice(-2).join("/"))).toEqual([
      "pages/1",
      "pages/2",
      "pages/3",
    ]);
    expect(await Array.fromAsync(stores.sources.list())).toEqual([]); // S1316
  });

  it("an executor that takes over goes on with the pages that are not ready, under the same identification id", async () => {
    const broken = await executorWith({
      pages: 4,
      beforePage: async (page) => {
        if (page === 3) throw new PlatenError("unavailable", "this executor dies here");
      },
    });
    await broken.executor.requestToken("t", session);
    await broken.executor.download("d", session, url, "e1", never);
    const seen: ConversionProgress[] = [];
    const lost = async () => {
      const abort = new AbortController();
      for await (const progress of broken.executor.convert("c", session, settings, abort.signal)) {
        seen.push(progress);
        if (seen.length === 3) abort.abort();
      }
    };
    await expect(lost()).rejects.toThrow();

    const { executor, fake } = await executorWith({ pages: 4 });
    const rest = await collect(executor.convert("c", session, settings, never));
    expect(fake.converted).toEqual([3, 4]);
    expect(rest[0]).toEqual(seen[0]);
    expect(rest.map((one) => (one.kind === "page" ? one.pageNumber : one.kind))).toEqual([
      "opened",
      1,
      2,
      3,
      4,
      "completed",
    ]);
  });

  it.each([
    ["unavailable", undefined],
    ["document-damaged", { code: "document-damaged", message: "page 1 went wrong" }],
  ] as const)("a failure with %s tells printers that wait only if it stays", async (code, failure) => {
    const { executor } = await executorWith({
      pages: 1,
      beforePage: async () => {
        throw new PlatenError(code, "page 1 went wrong");
      },
    });
    await executor.requestToken("t", session);
    await executor.download("d", session, url, "e1", never);
    await expect(collect(executor.convert("c", session, settings, never))).rejects.toEqual(refusal(code));
    const results = await Array.fromAsync(stores.results.all());
    expect(results.map(({ value }) => value.failure)).toEqual([failure]);
  });

  it("a repeat after the end tells the same again without converting, another request is refused", async () => {
    const { executor, fake } = await executorWith({ pages: 2 });
    const { identificationId } = await converted(executor);
    const again = await collect(executor.convert("c", session, settings, never));
    expect(again[0]).toMatchObject({ kind: "opened", identificationId });
    expect(again.at(-1)).toEqual({ kind: "completed", pages: 2 });
    expect(fake.converted).toEqual([1, 2]);
    await expect(collect(executor.convert("c2", session, settings, never))).rejects.toEqual(
      refusal("conflict"),
    );
  });

  it("a document that does not open leaves no result", async () => {
    const { executor } = await executorWith({
      pages: 1,
      openError: new PlatenError("document-password", "locked"),
    });
    await executor.requestToken("t", session);
    await executor.download("d", session, url, "e1", never);
    await expect(collect(executor.convert("c", session, settings, never))).rejects.toEqual(
      refusal("document-password"),
    );
    expect(await Array.fromAsync(stores.results.all())).toEqual([]);
  });
});

describe("completion request", () => {
  it("S1605, S1610: refuses without a session record", async () => {
    const { executor } = await executorWith({ pages: 1 });
    await expect(executor.complete(session, undefined)).rejects.toEqual(refusal("session-missing"));
  });

  it("S1606 to S1608: nothing of the session remains in any store", async () => {
    const { executor } = await executorWith({ pages: 3 });
    const { identificationId } = await converted(executor);
    expect((await everythingStored()).length).toBeGreaterThan(0);
    await executor.complete(session, identificationId);
    expect(await everythingStored()).toEqual([]);
  });

  it.each(["after the token", "after the download", "in the middle of the conversion"])(
    "leaves nothing %s",
    async (when) => {
      const { executor } = await executorWith({ pages: 3 });
      await executor.requestToken("t", session);
      if (when !== "after the token") await executor.download("d", session, url, "e1", never);
      if (when === "in the middle of the conversion") {
        for await (const progress of executor.convert("c", session, settings, never))
          if (progress.kind === "page") break;
      }
      await executor.complete(session, undefined);
      expect(await everythingStored()).toEqual([]);
    },
  );

  it("a conversion that goes on after the session's end removes what it wrote", async () => {
    let ended = false;
    const { executor } = await executorWith({
      pages: 3,
      beforePage: async (page) => {
        if (page === 2 && !ended) {
          ended = true;
          await executor.complete(session, undefined);
        }
      },
    });
    await executor.requestToken("t", session);
    await executor.download("d", session, url, "e1", never);
    await expect(collect(executor.convert("c", session, settings, never))).rejects.toEqual(
      refusal("session-missing"),
    );
    expect(await everythingStored()).toEqual([]);
  });

  it("does not delete the converted data of another session", async () => {
    const { executor } = await executorWith({ pages: 1 });
    const { identificationId, token } = await converted(executor);
    await executor.requestToken("t2", other);
    await executor.complete(other, identificationId);
    await new ResultStore(stores, () => nowMs).metafile(identificationId, token);
  });
});

describe("result store", () => {
  it("S1504, S1506, S1508: unknown id, wrong token and expired token are one and the same refusal", async () => {
    const { executor } = await executorWith({ pages: 1 });
    const { identificationId, token } = await converted(executor);
    const results = new ResultStore(stores, () => nowMs);
    const messages = new Set<string>();
    const refused = async (id: string, offered: string) => {
      const error = await results.metafile(id, offered).catch((thrown: PlatenError) => thrown);
      expect(error).toEqual(refusal("identification-unknown"));
      messages.add((error as PlatenError).message);
    };
    await refused("0123456789abcdef", token); // S1504
    await refused(identificationId, "wrong");
    await refused(identificationId, "");
    nowMs += tokenTtlMs;
    await refused(identificationId, token); // S1506
    expect(messages.size).toBe(1);
  });

  it("holds the request for a page until it is converted", async () => {
    const gate = Promise.withResolvers<void>();
    const { executor } = await executorWith({
      pages: 2,
      beforePage: (page) => (page === 2 ? gate.promise : Promise.resolve()),
    });
    const { token } = await executor.requestToken("t", session);
    await executor.download("d", session, url, "e1", never);
    const results = new ResultStore(stores, () => nowMs);
    const progress = executor.convert("c", session, settings, never)[Symbol.asyncIterator]();
    const opened = (await progress.next()).value as Extract<ConversionProgress, { kind: "opened" }>;
    let ready = false;
    const page = results.page(opened.identificationId, 2, token, never).finally(() => (ready = true));
    await progress.next();
    expect(ready).toBe(false);
    gate.resolve();
    await progress.next();
    expect(Buffer.concat(await Array.fromAsync((await page).bytes()))).toEqual(Buffer.from(fakePage));
  });

  it("answers a held request with the conversion's error when the page will not come", async () => {
    const gate = Promise.withResolvers<void>();
    const { executor } = await executorWith({
      pages: 2,
      beforePage: async (page) => {
        if (page !== 2) return;
        await gate.promise;
        throw new PlatenError("conversion-time-limit", "page 2 takes too long");
      },
    });
    const { token } = await executor.requestToken("t", session);
    await executor.download("d", session, url, "e1", never);
    const progress = executor.convert("c", session, settings, never)[Symbol.asyncIterator]();
    const opened = (await progress.next()).value as Extract<ConversionProgress, { kind: "opened" }>;
    await progress.next();
    const page = new ResultStore(stores, () => nowMs).page(opened.identificationId, 2, token, never);
    const refused = expect(page).rejects.toEqual(refusal("conversion-time-limit"));
    gate.resolve();
    await expect(progress.next()).rejects.toEqual(refusal("conversion-time-limit"));
    await refused;
  });

  it("lets go of a held request when the session ends", async () => {
    const { executor } = await executorWith({ pages: 2 });
    const { token } = await executor.requestToken("t", session);
    await executor.download("d", session, url, "e1", never);
    for await (const progress of executor.convert("c", session, settings, never)) {
      if (progress.kind !== "opened") continue;
      const page = new ResultStore(stores, () => nowMs).page(progress.identificationId, 2, token, never);
      const refused = expect(page).rejects.toEqual(refusal("identification-unknown"));
      await executor.complete(session, undefined);
      await refused;
      break;
    }
  });

  it("refuses pages that the job does not have", async () => {
    const { executor } = await executorWith({ pages: 2 });
    const { identificationId, token } = await converted(executor);
    const results = new ResultStore(stores, () => nowMs);
    for (const page of [0, 3]) {
      await expect(results.page(identificationId, page, token, never)).rejects.toEqual(
        refusal("page-unavailable"),
      );
    }
  });
});
