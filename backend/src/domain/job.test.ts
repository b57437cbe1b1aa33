import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  errorTable,
  type ErrorCode,
  type Job,
  JobState,
  JobStateReason,
  JobTicketSchema,
  PlatenError,
} from "@platen/proto";
import { describe, expect, test } from "vitest";
import { canceledByUser, type Ending } from "./endings.ts";
import { newJobId, parsePrinterId } from "./ids.ts";
import {
  abortedBy,
  cancelRequestedJob,
  endedJob,
  isCancelRequested,
  isEnded,
  pendingJob,
  processingJob,
  reasonOfError,
  stateName,
  stoppedJob,
} from "./job.ts";

const { PENDING, PROCESSING, PROCESSING_STOPPED, COMPLETED, CANCELED, ABORTED } = JobState;
const nowMs = 1_700_000_000_000;

const pending = pendingJob(
  {
    jobId: newJobId(nowMs),
    printerId: parsePrinterId("office"),
    jobName: "a.pdf",
    userName: "ann",
    documentUri: "https://example.org/a.pdf",
    ticket: create(JobTicketSchema, { copies: 2 }),
  },
  nowMs,
);
const completed: Ending = {
  state: COMPLETED,
  reasons: [JobStateReason.JOB_COMPLETED_SUCCESSFULLY],
  message: "",
  errorCode: "",
};
const aborted = abortedBy(new PlatenError("document-password", "the document needs a password"));

const steps = {
  processing: (job: Job) => processingJob(job, JobStateReason.JOB_TRANSFORMING),
  "processing-stopped": (job: Job) => stoppedJob(job, "no paper"),
  completed: (job: Job) => endedJob(job, completed, nowMs + 1),
  canceled: (job: Job) => endedJob(job, canceledByUser, nowMs + 1),
  aborted: (job: Job) => endedJob(job, aborted, nowMs + 1),
};
const processing = steps.processing(pending);
const stopped = steps["processing-stopped"](processing);
const ends = {
  completed: steps.completed(processing),
  canceled: steps.canceled(processing),
  aborted: steps.aborted(processing),
};

describe("the job state machine of RFC 8011", () => {
  test("a new job is pending, queued, and has a time of creation", () => {
    expect(pending.state).toBe(PENDING);
    expect(pending.stateReasons).toEqual([JobStateReason.JOB_QUEUED]);
    expect(timestampMs(pending.createTime!)).toBe(nowMs);
    expect(isEnded(pending)).toBe(false);
  });

  test.each([
    [pending, ["processing", "canceled", "aborted"]],
    [processing, ["processing", "processing-stopped", "completed", "canceled", "aborted"]],
    [stopped, ["processing", "processing-stopped", "completed", "canceled", "aborted"]],
  ] as const)("of each state exactly the right ones follow", (from, allowed) => {
    for (const [name, step] of Object.entries(steps)) {
      if ((allowed as readonly string[]).includes(name)) expect(stateName(step(from).state)).toBe(name);
      else expect(() => step(from)).toThrow(expect.objectContaining({ code: "conflict" }));
    }
  });

  test("an end state never changes again", () => {
    for (const end of Object.values(ends)) {
      expect(isEnded(end)).toBe(true);
      expect(timestampMs(end.endTime!)).toBe(nowMs + 1);
      for (const step of Object.values(steps)) expect(step(end)).toBe(end);
      expect(cancelRequestedJob(end, "too late", nowMs + 2)).toBe(end);
    }
  });

  test("a step leaves the job that it was given as it was", () => {
    expect(pending.state).toBe(PENDING);
    expect(processing.state).toBe(PROCESSING);
    expect(stopped.state).toBe(PROCESSING_STOPPED);
  });
});

describe("cancel", () => {
  test("a pending job is canceled at once", () => {
    const job = cancelRequestedJob(pending, "wrong file", nowMs + 5);
    expect(job).toMatchObject({
      state: CANCELED,
      stateReasons: [JobStateReason.JOB_CANCELED_BY_USER],
      stateMessage: "wrong file",
      errorCode: "",
    });
    expect(timestampMs(job.endTime!)).toBe(nowMs + 5);
  });

  test("of a job in processing the wish is noted once, and stays through every step until the end", () => {
    const wished = cancelRequestedJob(processing, "", nowMs);
    expect(wished.state).toBe(PROCESSING);
    expect(isCancelRequested(wished)).toBe(true);
    expect(cancelRequestedJob(wished, "", nowMs)).toBe(wished);
    const through = processingJob(stoppedJob(wished, "jam"), JobStateReason.JOB_PRINTING);
    expect(through.stateReasons).toEqual([
      JobStateReason.JOB_PRINTING,
      JobStateReason.PROCESSING_TO_STOP_POINT,
    ]);
    expect(isCancelRequested(endedJob(through, canceledByUser, nowMs))).toBe(false);
  });
});

describe("what an error makes of a job", () => {
  test.each([
    ["document-password", JobStateReason.DOCUMENT_PASSWORD_ERROR],
    ["document-damaged", JobStateReason.DOCUMENT_FORMAT_ERROR],
    ["document-format", JobStateReason.UNSUPPORTED_DOCUMENT_FORMAT],
    ["download-timeout", JobStateReason.DOCUMENT_ACCESS_ERROR],
    ["ticket-unsupported", JobStateReason.UNSUPPORTED_ATTRIBUTES_OR_VALUES],
    ["conversion-memory-limit", JobStateReason.ABORTED_BY_SYSTEM],
  ] as const)("%s gives its job-state-reason", (code, reason) => {
    expect(reasonOfError(code)).toBe(reason);
  });

  test("every download error is an access error, and no code goes without a reason", () => {
    for (const code of Object.keys(errorTable) as ErrorCode[]) {
      const reason = reasonOfError(code);
      expect(reason).not.toBe(JobStateReason.UNSPECIFIED);
      if (code.startsWith("download-")) expect(reason).toBe(JobStateReason.DOCUMENT_ACCESS_ERROR);
    }
  });

  test("an aborted job tells the code, the sentence and both reasons", () => {
    expect(ends.aborted).toMatchObject({
      state: ABORTED,
      stateReasons: [JobStateReason.ABORTED_BY_SYSTEM, JobStateReason.DOCUMENT_PASSWORD_ERROR],
      stateMessage: "the document needs a password",
      errorCode: "document-password",
    });
    expect(abortedBy(new PlatenError("internal", "x")).reasons).toEqual([JobStateReason.ABORTED_BY_SYSTEM]);
  });
});
