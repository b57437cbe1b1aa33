import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  JobEventKind,
  JobState,
  JobStateReason,
  PrinterCapabilitiesSchema,
  PrintColorMode,
  PlatenError,
  RegisteredPrinterSchema,
  Sides,
  SubmitJobRequestSchema,
} from "@platen/proto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DocumentId, type JobId, newJobId, parseJobId } from "../domain/ids.ts";
import { isCancelRequested, processingJob } from "../domain/job.ts";
import type { Storage } from "../ports/storage.ts";
import type { Delivery, WorkQueue } from "../ports/work-queue.ts";
import { openTestStorage, storageKinds, type TestStorage } from "../testing/test-storage.ts";
import { Documents, documentStoreName, documentUri } from "./documents.ts";
import { Intake, type PrinterDirectory } from "./intake.ts";
import { Jobs } from "./jobs.ts";

const hour = 60 * 60 * 1000;
const retentionMs = 24 * hour;
const forever = new AbortController().signal;

const capabilities = create(PrinterCapabilitiesSchema, {
  colorSupported: false,
  resolutionsDpi: [300, 600],
  resolutionDefaultDpi: 600,
  mediaSupported: ["iso_a4_210x297mm"],
  mediaDefault: "iso_a4_210x297mm",
});
const printers: PrinterDirectory = {
  get: async (printerId) =>
    printerId.startsWith("mono") ? create(RegisteredPrinterSchema, { printerId, capabilities }) : undefined,
  list: async () => [],
};

let opened: TestStorage;
let storage: Storage;
let jobs: Jobs;
let documents: Documents;
let instructions: WorkQueue;
let intake: Intake;
let nowMs: number;
/** What of the queue is away. */
let queueIsDown: boolean;
const now = () => nowMs;

const openIntake = (): Promise<Intake> =>
  Intake.open({
    keyValue: storage.keyValue,
    jobs,
    documents,
    printers,
    instructions: {
      enqueue: async (lane, id, payload) => {
        if (queueIsDown) throw new PlatenError("unavailable", "the queue is away");
        await instructions.enqueue(lane, id, payload);
      },
      deliveries: (signal) => instructions.deliveries(signal),
    },
    retentionMs,
    now,
  });

type RequestInit = Exclude<MessageInitShape<typeof SubmitJobRequestSchema>, { $typeName: string }>;

const url = { case: "documentUri" as const, value: "https://example.org/menu%20of%20today.pdf?day=1" };
const request = (init: RequestInit = {}) =>
  create(SubmitJobRequestSchema, { printerId: "mono", userName: "ann", document: url, ...init });

async function upload(): Promise<DocumentId> {
  const bytes = async function* () {
    yield Buffer.from("%PDF-1.7");
  };
  const { documentId } = await intake.upload({ fileName: "a.pdf", sizeBytes: 0 }, bytes(), forever);
  return documentId;
}

/** What the queue delivers, up to `count` items of as many lanes. */
async function delivered(count: number): Promise<Delivery[]> {
  const stop = new AbortController();
  const deliveries: Delivery[] = [];
  for await (const delivery of instructions.deliveries(stop.signal)) {
    deliveries.push(delivery);
    if (deliveries.length === count) stop.abort();
  }
  return deliveries;
}

/** Ids of what waits for the printer, in order: takes all, up to a job that is submitted after them. */
async function queued(printerId = "mono"): Promise<string[]> {
  const last = await intake.submit(request({ printerId }));
  const ids: string[] = [];
  const stop = new AbortController();
  for await (const delivery of instructions.deliveries(stop.signal)) {
    if (delivery.id === last.jobId) stop.abort();
    else ids.push(delivery.id);
    await delivery.ack();
  }
  return ids;
}

const jobIds = async (): Promise<string[]> =>
  (await jobs.list({ pageSize: 100, pageToken: "" })).jobs.map((job) => job.jobId);

describe.each(storageKinds)("on %s storage", (kind) => {
  beforeEach(async () => {
    opened = await openTestStorage(kind);
    storage = opened.storage;
    nowMs = Date.now();
    queueIsDown = false;
    jobs = await Jobs.open(storage.keyValue, { retentionMs, now });
    documents = await Documents.open({ keyValue: storage.keyValue, blobs: storage.blobs, jobs, now });
    instructions = await storage.queues.queue("instructions", { leaseMs: 30_000 });
    intake = await openIntake();
  });
  afterEach(() => opened[Symbol.asyncDispose]());

  describe("submit", () => {
    test("S101: makes a pending job and hands it to the queue, in the printer's lane", async () => {
      const job = await intake.submit(request({ ticket: { copies: 2 } }));
      expect(job).toMatchObject({
        printerId: "mono",
        userName: "ann",
        jobName: "menu of today.pdf",
        documentUri: url.value,
        state: JobState.PENDING,
        ticket: { copies: 2 },
      });
      expect(await intake.get(parseJobId(job.jobId))).toEqual(job);
      const [delivery] = await delivered(1);
      expect(delivery).toMatchObject({ lane: "mono", id: job.jobId });
      expect(Buffer.from(delivery!.payload).toString()).toBe(job.jobId);
    });

    test("of an upload gives the job its document and its name", async () => {
      const documentId = await upload();
      const job = await intake.submit(request({ document: { case: "documentId", value: documentId } }));
      expect(job).toMatchObject({ documentUri: documentUri(documentId), jobName: "a.pdf" });
      const again = intake.submit(request({ document: { case: "documentId", value: documentId } }));
      await expect(again).rejects.toMatchObject({ code: "document-used" });
      expect(await jobIds()).toEqual([job.jobId]);
    });

    test("keeps control characters out of what people will read on their terminals", async () => {
      const job = await intake.submit(request({ jobName: "a\u001b[2J\nb ", userName: "x".repeat(300) }));
      expect(job.jobName).toBe("a [2J b");
      expect(job.userName).toHaveLength(255);
    });

    test.each<[string, RequestInit, string]>([
      ["a printer that never registered", { printerId: "nowhere" }, "printer-unknown"],
      ["a printer id that is none", { printerId: "no where" }, "invalid-argument"],
      ["a ticket that is wrong in itself", { ticket: { numberUp: 5 } }, "ticket-invalid"],
      [
        "what the printer cannot do",
        { ticket: { printColorMode: PrintColorMode.COLOR } },
        "ticket-unsupported",
      ],
      ["duplex without a duplexer", { ticket: { sides: Sides.TWO_SIDED_LONG_EDGE } }, "ticket-unsupported"],
      ["nothing to print", { document: { case: undefined } }, "invalid-argument"],
      [
        "a file on the server",
        { document: { case: "documentUri", value: "file:///etc/passwd" } },
        "invalid-argument",
      ],
      [
        "an upload as a URI",
        { document: { case: "documentUri", value: "platen:documents/1" } },
        "invalid-argument",
      ],
      ["a URI that is none", { document: { case: "documentUri", value: "a.pdf" } }, "invalid-argument"],
      ["an unknown document", { document: { case: "documentId", value: "none" } }, "document-unknown"],
      ["a request id that is too long", { requestId: "x".repeat(129) }, "invalid-argument"],
    ])("refuses %s, and leaves no job", async (_, init, code) => {
      await expect(intake.submit(request(init))).rejects.toMatchObject({ code });
      expect(await jobIds()).toEqual([]);
      expect(await queued()).toEqual([]);
    });

    test("refuses before it claims: the document is there for the corrected ticket", async () => {
      const document = { case: "documentId" as const, value: await upload() };
      await expect(intake.submit(request({ document, ticket: { copies: 1000 } }))).rejects.toMatchObject({
        code: "ticket-invalid",
      });
      expect(await intake.submit(request({ document, ticket: { copies: 3 } }))).toMatchObject({
        jobName: "a.pdf",
      });
    });
  });

  describe("a repeat of a request id", () => {
    test("makes no second job and answers with the first one, whatever else it says", async () => {
      const document = { case: "documentId" as const, value: await upload() };
      const first = await intake.submit(request({ requestId: "r 1", document }));
      const second = await intake.submit(request({ requestId: "r 1", document, printerId: "gone" }));
      expect(second).toEqual(first);
      expect((await intake.submit(request({ requestId: "r 2" }))).jobId).not.toBe(first.jobId);
      expect(await jobIds()).toHaveLength(2);
    });

    test("at the same time, at several intakes, makes one job and queues it once", async () => {
      const other = await openIntake();
      const document = { case: "documentId" as const, value: await upload() };
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          (i % 2 ? intake : other).submit(request({ requestId: "r", document })),
        ),
      );
      expect(new Set(answers.map((job) => job.jobId)).size).toBe(1);
      expect(await jobIds()).toEqual([answers[0]!.jobId]);
      expect(await queued()).toEqual([answers[0]!.jobId]);
    });

    test("queues what a crash left unqueued", async () => {
      queueIsDown = true;
      await expect(intake.submit(request({ requestId: "r" }))).rejects.toMatchObject({ code: "unavailable" });
      queueIsDown = false;
      const job = await intake.submit(request({ requestId: "r" }));
      expect(await jobIds()).toEqual([job.jobId]);
      expect(await queued()).toEqual([job.jobId]);
    });

    test("goes on where a crash left a claimed document without a job", async () => {
      const document = { case: "documentId" as const, value: await upload() };
      const broken = await Intake.open({
        keyValue: storage.keyValue,
        jobs: Object.assign(Object.create(jobs) as Jobs, {
          get: (jobId: JobId) => jobs.get(jobId),
          create: () => Promise.reject(new PlatenError("unavailable", "the process died here")),
        }),
        documents,
        printers,
        instructions,
        retentionMs,
        now,
      });
      const submission = request({ requestId: "r", document });
      await expect(broken.submit(submission)).rejects.toMatchObject({ code: "unavailable" });
      expect(await jobIds()).toEqual([]);
      const job = await intake.submit(submission);
      expect(job.documentUri).toBe(documentUri(document.value));
      expect(await queued()).toEqual([job.jobId]);
    });
  });

  describe("recover", () => {
    test("queues pending jobs that never reached the queue, and no others", async () => {
      const taken = await intake.submit(request({ printerId: "mono-2" }));
      const takenId = parseJobId(taken.jobId);
      await jobs.change(takenId, {
        kind: JobEventKind.STARTED,
        apply: (job) => processingJob(job, JobStateReason.JOB_FETCHABLE),
      });
      const [delivery] = await delivered(1);
      queueIsDown = true;
      await expect(intake.submit(request())).rejects.toMatchObject({ code: "unavailable" });
      queueIsDown = false;
      const [lost] = (await jobs.list({ printerId: "mono", pageSize: 1, pageToken: "" })).jobs;
      const fresh = await openIntake();
      await fresh.recover();
      await fresh.recover();
      expect(await queued()).toEqual([lost!.jobId]);
      await delivery!.ack();
      expect(await queued("mono-2")).toEqual([]);
    });

    test("at intervals finds what was lost since, also by an intake whose clock is behind", async () => {
      await intake.recover();
      nowMs -= 60_000;
      queueIsDown = true;
      await expect(intake.submit(request())).rejects.toMatchObject({ code: "unavailable" });
      queueIsDown = false;
      nowMs += 120_000;
      await intake.recover();
      expect(await queued()).toEqual(await jobIds().then((ids) => ids.slice(1)));
    });
  });

  describe("cancel", () => {
    test("ends a pending job at once and deletes its document", async () => {
      const document = { case: "documentId" as const, value: await upload() };
      const { jobId } = await intake.submit(request({ document }));
      const canceled = await intake.cancel(parseJobId(jobId), "wrong\nfile");
      expect(canceled).toMatchObject({
        state: JobState.CANCELED,
        stateReasons: [JobStateReason.JOB_CANCELED_BY_USER],
        stateMessage: "wrong file",
      });
      const blobs = await storage.blobs.store(documentStoreName);
      expect(await Array.fromAsync(blobs.list())).toEqual([]);
      const events = await Array.fromAsync(intake.watch(parseJobId(jobId), 0n, forever));
      expect(events.map(({ kind }) => kind)).toEqual([JobEventKind.CREATED, JobEventKind.ENDED]);
    });

    test("of a job under way is noted once, for its controller", async () => {
      const { jobId } = await intake.submit(request());
      await jobs.change(parseJobId(jobId), {
        kind: JobEventKind.STARTED,
        apply: (job) => processingJob(job, JobStateReason.JOB_FETCHABLE),
      });
      const wished = await intake.cancel(parseJobId(jobId), "");
      expect(wished.state).toBe(JobState.PROCESSING);
      expect(isCancelRequested(wished)).toBe(true);
      expect(await intake.cancel(parseJobId(jobId), "again")).toEqual(wished);
      const watching = jobs.watch(parseJobId(jobId), 2n, forever);
      expect((await watching.next()).value).toMatchObject({
        sequence: 3n,
        kind: JobEventKind.CANCEL_REQUESTED,
      });
      await watching.return(undefined);
    });

    test("and being taken up cannot both win, nor both lose", async () => {
      for (let round = 0; round < 20; round++) {
        const { jobId } = await intake.submit(request());
        const id = parseJobId(jobId);
        const take = jobs.change(id, {
          kind: JobEventKind.STARTED,
          apply: (job) => processingJob(job, JobStateReason.JOB_FETCHABLE),
        });
        const cancel = intake.cancel(id, "");
        const [taken, canceled] = await (round % 2
          ? Promise.all([take, cancel])
          : Promise.all([cancel, take]).then(([c, t]) => [t, c]));
        const job = (await jobs.get(id))!;
        // Either it ended before it was taken, and the taker sees that; or the taker has it, with the wish noted.
        if (job.state === JobState.CANCELED) expect(taken!.state).toBe(JobState.CANCELED);
        else {
          expect(taken!.state).toBe(JobState.PROCESSING);
          expect(isCancelRequested(job)).toBe(true);
        }
        expect(canceled!.state).toBe(job.state);
      }
    });

    test("of an ended job succeeds and changes nothing, of an unknown one is job-unknown", async () => {
      const { jobId } = await intake.submit(request());
      const canceled = await intake.cancel(parseJobId(jobId), "first");
      expect(await intake.cancel(parseJobId(jobId), "second")).toEqual(canceled);
      await expect(intake.cancel(newJobId(nowMs), "")).rejects.toMatchObject({ code: "job-unknown" });
    });
  });
});
