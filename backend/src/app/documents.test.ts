import { createHash, randomBytes } from "node:crypto";
import { type Job, JobState } from "@platen/proto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DocumentId, newDocumentId, newJobId } from "../domain/ids.ts";
import type { BlobStore } from "../ports/blob.ts";
import type { Storage } from "../ports/storage.ts";
import { openTestStorage, type TestStorage } from "../testing/test-storage.ts";
import { documentIdOf, Documents, documentStoreName, documentUri } from "./documents.ts";

const hour = 60 * 60 * 1000;
const maxBytes = 1000;
const forever = new AbortController().signal;

let opened: TestStorage;
let storage: Storage;
let blobs: BlobStore;
let documents: Documents;
let nowMs: number;
/** The job records that documents ask for. */
let jobs: Map<string, Pick<Job, "state" | "documentUri">>;

beforeEach(async () => {
  opened = await openTestStorage("embedded");
  storage = opened.storage;
  blobs = await storage.blobs.store(documentStoreName);
  nowMs = Date.now();
  jobs = new Map();
  documents = await Documents.open({
    keyValue: storage.keyValue,
    blobs: storage.blobs,
    jobs: { get: async (jobId) => jobs.get(jobId) as Job | undefined },
    maxBytes,
    now: () => nowMs,
  });
});

afterEach(() => opened[Symbol.asyncDispose]());

async function* chunks(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

const upload = async (bytes = Buffer.from("%PDF-1.7")): Promise<DocumentId> =>
  (await documents.upload({ fileName: "a.pdf", sizeBytes: 0 }, chunks(bytes), forever)).documentId;

const stored = async (): Promise<string[]> => (await Array.fromAsync(blobs.list())).map(({ key }) => key);
const recorded = async (): Promise<string[]> =>
  Array.fromAsync((await storage.keyValue.bucket(documentStoreName)).keys());

describe("an upload", () => {
  test("is stored with its size and its SHA-256, until nobody has used it for a day", async () => {
    const parts = [Buffer.from("%P"), Buffer.from("DF-1.7"), randomBytes(992)];
    const document = await documents.upload(
      { fileName: "a.pdf", sizeBytes: 1000 },
      chunks(...parts),
      forever,
    );
    const bytes = Buffer.concat(parts);
    expect(document).toMatchObject({
      sizeBytes: 1000,
      sha256Hex: createHash("sha256").update(bytes).digest("hex"),
      expiresMs: nowMs + 24 * hour,
    });
    const blob = (await blobs.get(document.documentId))!;
    expect(Buffer.concat(await Array.fromAsync(blob.bytes()))).toEqual(bytes);
  });

  test.each([
    ["larger than allowed, as declared", 1001, 0, "document-too-large"],
    ["larger than allowed, undeclared", 0, 1001, "document-too-large"],
    ["larger than declared", 10, 11, "invalid-argument"],
    ["smaller than declared", 10, 9, "invalid-argument"],
    ["empty", 0, 0, "document-damaged"],
  ] as const)("that is %s is refused and leaves nothing", async (_, sizeBytes, sentBytes, code) => {
    const uploading = documents.upload({ fileName: "", sizeBytes }, chunks(randomBytes(sentBytes)), forever);
    await expect(uploading).rejects.toMatchObject({ code });
    expect(await stored()).toEqual([]);
    expect(await recorded()).toEqual([]);
  });

  test.each([
    ["short", "just a text"],
    ["long", "GIF89a".padEnd(maxBytes, "x")],
  ])("that is %s and nothing that can be printed is refused at once, and leaves nothing", async (_, text) => {
    await expect(upload(Buffer.from(text))).rejects.toMatchObject({ code: "document-format" });
    expect(await stored()).toEqual([]);
    expect(await recorded()).toEqual([]);
  });

  test.each(["breaks off", "seems to end"])("that is aborted and %s leaves nothing", async (how) => {
    const abort = new AbortController();
    const parts = async function* () {
      yield randomBytes(10);
      abort.abort(new Error("the sender went away"));
      if (how === "breaks off") throw new Error("premature close");
    };
    await expect(documents.upload({ fileName: "", sizeBytes: 0 }, parts(), abort.signal)).rejects.toThrow();
    expect(await stored()).toEqual([]);
    expect(await recorded()).toEqual([]);
  });
});

describe("a document", () => {
  test("is given to exactly one of simultaneous jobs, and to that one again", async () => {
    const documentId = await upload();
    const rivals = Array.from({ length: 8 }, (_, i) => newJobId(nowMs + i));
    const claims = await Promise.allSettled(rivals.map((jobId) => documents.claim(documentId, jobId)));
    const winners = rivals.filter((_, i) => claims[i]!.status === "fulfilled");
    expect(winners).toHaveLength(1);
    for (const claim of claims) {
      if (claim.status === "rejected") expect(claim.reason).toMatchObject({ code: "document-used" });
    }
    expect(await documents.claim(documentId, winners[0]!)).toMatchObject({ fileName: "a.pdf" });
  });

  test("that was never uploaded is document-unknown", async () => {
    const claiming = documents.claim(newDocumentId(), newJobId(nowMs));
    await expect(claiming).rejects.toMatchObject({ code: "document-unknown" });
  });

  test("S111: goes with its job, however often that is said; those of others stay", async () => {
    const [documentId, other] = [await upload(), await upload()];
    const jobId = newJobId(nowMs);
    await documents.claim(documentId, jobId);
    jobs.set(jobId, { state: JobState.COMPLETED, documentUri: documentUri(documentId) });
    await documents.release(jobId);
    await documents.release(jobId);
    expect(await stored()).toEqual([other]);
    expect(await recorded()).toEqual([other]);
  });

  test("of a job that printed a URL is nothing to release", async () => {
    const documentId = await upload();
    const jobId = newJobId(nowMs);
    jobs.set(jobId, { state: JobState.COMPLETED, documentUri: "https://example.org/a.pdf" });
    await documents.release(jobId);
    await documents.release(newJobId(nowMs));
    expect(await stored()).toEqual([documentId]);
  });

  test("has a URI that names it and nothing else", () => {
    const documentId = newDocumentId();
    expect(documentIdOf(documentUri(documentId))).toBe(documentId);
    expect(documentIdOf("https://example.org/documents/1")).toBeUndefined();
    expect(() => documentIdOf("platen:documents/../sources/x")).toThrow(
      expect.objectContaining({ code: "invalid-argument" }),
    );
  });
});

describe("the sweep", () => {
  test("deletes what nobody used within a day, and nothing sooner", async () => {
    const documentId = await upload();
    await documents.sweep(nowMs + 24 * hour - 1);
    expect(await stored()).toEqual([documentId]);
    await documents.sweep(nowMs + 24 * hour);
    expect(await stored()).toEqual([]);
    expect(await recorded()).toEqual([]);
    await expect(documents.claim(documentId, newJobId(nowMs))).rejects.toMatchObject({
      code: "document-unknown",
    });
  });

  test("keeps the document of a job that goes on, for as long as it takes", async () => {
    const documentId = await upload();
    const jobId = newJobId(nowMs);
    await documents.claim(documentId, jobId);
    jobs.set(jobId, { state: JobState.PENDING, documentUri: documentUri(documentId) });
    const bucket = await storage.keyValue.bucket(documentStoreName);
    const before = (await bucket.get(documentId))!.revision;
    await documents.sweep(nowMs + 23 * hour);
    expect((await bucket.get(documentId))!.revision).toBe(before);
    await documents.sweep(nowMs + 25 * hour);
    // Written again, so that the record does not expire before the job ends.
    expect((await bucket.get(documentId))!.revision).toBeGreaterThan(before);
    expect(await stored()).toEqual([documentId]);
  });

  test("deletes the document of a job that ended while its release crashed", async () => {
    const documentId = await upload();
    const jobId = newJobId(nowMs);
    await documents.claim(documentId, jobId);
    jobs.set(jobId, { state: JobState.ABORTED, documentUri: documentUri(documentId) });
    await documents.sweep(nowMs);
    expect(await stored()).toEqual([]);
    expect(await recorded()).toEqual([]);
  });

  test("leaves a claim whose job is about to be made, and deletes one whose submission crashed", async () => {
    await documents.claim(await upload(), newJobId(nowMs));
    await documents.sweep(nowMs + 10 * 60 * 1000);
    expect(await recorded()).toHaveLength(1);
    await documents.sweep(nowMs + hour);
    expect(await recorded()).toEqual([]);
    expect(await stored()).toEqual([]);
  });

  test("deletes bytes whose upload crashed before its record, when they are a day old", async () => {
    await blobs.put(newDocumentId(), chunks(randomBytes(5)));
    await documents.sweep(nowMs);
    expect(await stored()).toHaveLength(1);
    await documents.sweep(Date.now() + 25 * hour);
    expect(await stored()).toEqual([]);
  });
});
