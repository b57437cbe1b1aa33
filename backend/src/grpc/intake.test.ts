import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Connection,
  clientCredentials,
  connect,
  IntakeService,
  JobEventKind,
  JobState,
  type JobState as State,
  PrinterCapabilitiesSchema,
  RegisteredPrinterSchema,
  type RunningServer,
  type ServiceClient,
  serve,
  serverCredentials,
} from "@platen/proto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Documents, documentStoreName } from "../app/documents.ts";
import { Intake } from "../app/intake.ts";
import { Jobs } from "../app/jobs.ts";
import { canceledByUser } from "../domain/endings.ts";
import { parseJobId } from "../domain/ids.ts";
import { endedJob } from "../domain/job.ts";
import type { Storage } from "../ports/storage.ts";
import { openTestStorage, type TestStorage } from "../testing/test-storage.ts";
import { intakeService } from "./intake.ts";

const printer = create(RegisteredPrinterSchema, {
  printerId: "office",
  capabilities: create(PrinterCapabilitiesSchema, {
    resolutionsDpi: [300],
    resolutionDefaultDpi: 300,
    mediaSupported: ["iso_a4_210x297mm"],
    mediaDefault: "iso_a4_210x297mm",
  }),
});

let opened: TestStorage;
let storage: Storage;
let jobs: Jobs;
let draining: AbortController;
let server: RunningServer;
let connection: Connection;
let client: ServiceClient<typeof IntakeService>;

beforeEach(async () => {
  opened = await openTestStorage("embedded");
  storage = opened.storage;
  const { keyValue, blobs } = storage;
  const retentionMs = 60 * 60 * 1000;
  jobs = await Jobs.open(keyValue, { retentionMs, now: Date.now });
  const documents = await Documents.open({ keyValue, blobs, jobs, maxBytes: 8 * 2 ** 20, now: Date.now });
  const instructions = await storage.queues.queue("instructions", { leaseMs: 30_000 });
  const printers = {
    get: async (id: string) => (id === "office" ? printer : undefined),
    list: async () => [printer],
  };
  const intake = await Intake.open({
    keyValue,
    jobs,
    documents,
    printers,
    instructions,
    retentionMs,
    now: Date.now,
  });
  draining = new AbortController();
  server = await serve([intakeService(intake, draining.signal)], {
    address: "127.0.0.1:0",
    credentials: serverCredentials({}),
  });
  connection = connect(server.address, clientCredentials({}, false));
  client = connection.client(IntakeService);
});

afterEach(async () => {
  connection[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  await opened[Symbol.asyncDispose]();
});

const header = (sizeBytes = 0n) => ({
  part: { case: "header" as const, value: { fileName: "a.pdf", sizeBytes } },
});
const chunk = (value: Uint8Array) => ({ part: { case: "chunk" as const, value } });

async function* parts(...all: (ReturnType<typeof header> | ReturnType<typeof chunk>)[]) {
  yield* all;
}

const submit = async () => {
  const document = { case: "documentUri" as const, value: "https://example.org/a.pdf" };
  return (await client.submitJob({ printerId: "office", document })).job!;
};

const storedDocuments = async () => Array.fromAsync((await storage.blobs.store(documentStoreName)).list());

describe("UploadDocument", () => {
  test("stores what is streamed, and submit prints it", async () => {
    const bytes = Buffer.concat([Buffer.from("%PDF-1.7"), randomBytes(3 * 2 ** 20 - 8)]);
    const pieces = [bytes.subarray(0, 2 ** 20), bytes.subarray(2 ** 20, 2 ** 21), bytes.subarray(2 ** 21)];
    const uploaded = await client.uploadDocument(parts(header(BigInt(bytes.length)), ...pieces.map(chunk)));
    expect(uploaded.sizeBytes).toBe(BigInt(bytes.length));
    expect(uploaded.sha256Hex).toMatch(/^[0-9a-f]{64}$/);
    expect(timestampMs(uploaded.expireTime!)).toBeGreaterThan(Date.now());
    const document = { case: "documentId" as const, value: uploaded.documentId };
    const { job } = await client.submitJob({ printerId: "office", document });
    expect(job).toMatchObject({ jobName: "a.pdf", documentUri: `platen:documents/${uploaded.documentId}` });
  });

  test.each([
    ["without a header", [chunk(randomBytes(1))], "invalid-argument"],
    ["with two headers", [header(), header()], "invalid-argument"],
    ["with nothing in it", [], "invalid-argument"],
    ["with a chunk over 1 MiB", [header(), chunk(randomBytes(2 ** 20 + 1))], "invalid-argument"],
    ["that declares too much", [header(2n ** 30n), chunk(randomBytes(1))], "document-too-large"],
    [
      "that sends too much",
      [header(), ...Array<ReturnType<typeof chunk>>(9).fill(chunk(Buffer.alloc(2 ** 20, "%PDF-1.7")))],
      "document-too-large",
    ],
    ["of nothing that can be printed", [header(), chunk(Buffer.from("GIF89a"))], "document-format"],
  ] as const)("refuses a stream %s", async (_, stream, code) => {
    await expect(client.uploadDocument(parts(...stream))).rejects.toMatchObject({ code });
    expect(await storedDocuments()).toEqual([]);
  });

  test("of a client that goes away in the middle leaves nothing", async () => {
    const abort = new AbortController();
    const endless = async function* () {
      yield header();
      yield chunk(Buffer.from("%PDF-1.7"));
      for (let sent = 0; !abort.signal.aborted; sent++) {
        yield chunk(randomBytes(1000));
        if (sent === 100) abort.abort();
      }
    };
    await expect(client.uploadDocument(endless(), { signal: abort.signal })).rejects.toMatchObject({
      code: "canceled",
    });
    // The server has heard of it when it has let go of the call.
    await server.drain();
    expect(await storedDocuments()).toEqual([]);
    const records = await storage.keyValue.bucket(documentStoreName);
    expect(await Array.fromAsync(records.keys())).toEqual([]);
  });
});

describe("jobs", () => {
  test("are submitted, got, listed and canceled", async () => {
    const first = await submit();
    const second = await submit();
    expect(await client.getJob({ jobId: first.jobId })).toMatchObject({ job: first });
    const page = await client.listJobs({ pageSize: 1 });
    expect(page.jobs).toEqual([second]);
    const rest = await client.listJobs({ pageToken: page.nextPageToken, printerId: "office" });
    expect(rest).toMatchObject({ jobs: [first], nextPageToken: "" });
    expect(await client.cancelJob({ jobId: first.jobId })).toMatchObject({
      job: { state: JobState.CANCELED },
    });
    const canceled = await client.listJobs({ states: [JobState.CANCELED] });
    expect(canceled.jobs.map((job) => job.jobId)).toEqual([first.jobId]);
    expect((await client.listPrinters({})).printers).toEqual([printer]);
  });

  test.each([
    ["an unknown job", () => client.getJob({ jobId: "nowhere" }), "job-unknown"],
    ["a job id that is none", () => client.cancelJob({ jobId: "../x" }), "invalid-argument"],
    ["a page of more than 1000", () => client.listJobs({ pageSize: 1001 }), "invalid-argument"],
    ["a state that means nothing", () => client.listJobs({ states: [42 as State] }), "invalid-argument"],
    ["a state that is none", () => client.listJobs({ states: [JobState.UNSPECIFIED] }), "invalid-argument"],
    ["a page token that is none", () => client.listJobs({ pageToken: "a b" }), "invalid-argument"],
    ["an unknown printer", () => client.submitJob({ printerId: "x" }), "printer-unknown"],
  ])("%s is refused", async (_, call, code) => {
    await expect(call()).rejects.toMatchObject({ code });
  });
});

describe("WatchJob", () => {
  test("tells the history, then what happens, and ends with the job", async () => {
    const { jobId } = await submit();
    const kinds: number[] = [];
    for await (const { event } of client.watchJob({ jobId })) {
      kinds.push(event!.kind);
      if (event!.kind === JobEventKind.CREATED) {
        const change = {
          kind: JobEventKind.ENDED,
          apply: (job: Parameters<typeof endedJob>[0]) => endedJob(job, canceledByUser, 0),
        };
        await jobs.change(parseJobId(jobId), change);
      }
    }
    expect(kinds).toEqual([JobEventKind.CREATED, JobEventKind.ENDED]);
    const late = await Array.fromAsync(client.watchJob({ jobId, afterSequence: 1n }));
    expect(late).toMatchObject([{ event: { kind: JobEventKind.ENDED, state: JobState.CANCELED } }]);
  });

  test("of an unknown job is job-unknown", async () => {
    await expect(Array.fromAsync(client.watchJob({ jobId: "nowhere" }))).rejects.toMatchObject({
      code: "job-unknown",
    });
  });

  test("ends with unavailable when the server drains, which does not wait for it", async () => {
    const { jobId } = await submit();
    const watching = client.watchJob({ jobId })[Symbol.asyncIterator]();
    await watching.next();
    const next = watching.next();
    draining.abort();
    await expect(next).rejects.toMatchObject({ code: "unavailable" });
    await server.drain();
  });

  test("that its client leaves lets go of the call", async () => {
    const { jobId } = await submit();
    for await (const { event } of client.watchJob({ jobId })) {
      expect(event?.kind).toBe(JobEventKind.CREATED);
      break;
    }
    await server.drain();
  });
});
