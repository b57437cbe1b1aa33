import { stripVTControlCharacters } from "node:util";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Job, type JobEvent, JobEventKind, JobEventSchema, JobSchema, JobState } from "@platen/proto";
import { describe, expect, test } from "vitest";
import { advance, type Progress, startProgress, workTexts } from "./progress.ts";
import { type OutputOptions, progressLine, reporterOf } from "./reporter.ts";

const startMs = 1_760_000_000_000;

const job: Job = create(JobSchema, {
  jobId: "job-1",
  jobName: "report.pdf",
  printerId: "office",
  state: JobState.PENDING,
  ticket: { copies: 2 },
  createTime: timestampFromMs(startMs),
});

type Step = Partial<Omit<JobEvent, "$typeName">> & { kind: JobEventKind };
const printing = { state: JobState.PROCESSING, impressions: 4 };
/** A job of four pages in two copies, two executors, and a paper tray that runs out. */
const steps: Step[] = [
  { kind: JobEventKind.CREATED, state: JobState.PENDING },
  { kind: JobEventKind.STARTED, state: JobState.PROCESSING, message: "taken up" },
  { kind: JobEventKind.TOKEN_ISSUED, state: JobState.PROCESSING, executorId: "exec-1" },
  { kind: JobEventKind.DOWNLOADED, state: JobState.PROCESSING, executorId: "exec-2", message: "9 bytes" },
  { kind: JobEventKind.OPENED, ...printing, executorId: "exec-1" },
  { kind: JobEventKind.PAGE_CONVERTED, ...printing, impressionsConverted: 1, executorId: "exec-1" },
  {
    kind: JobEventKind.PRINTED,
    ...printing,
    impressionsConverted: 1,
    impressionsCompleted: 1,
    mediaSheetsCompleted: 1,
  },
  {
    kind: JobEventKind.PRINTER_STATE_CHANGED,
    state: JobState.PROCESSING_STOPPED,
    message: "the paper tray is empty",
    impressions: 4,
    impressionsConverted: 1,
    impressionsCompleted: 1,
    mediaSheetsCompleted: 1,
  },
  {
    kind: JobEventKind.ENDED,
    state: JobState.COMPLETED,
    impressions: 4,
    impressionsConverted: 4,
    impressionsCompleted: 8,
    mediaSheetsCompleted: 8,
  },
];
const events = steps.map((step, i) =>
  create(JobEventSchema, { sequence: BigInt(i + 1), time: timestampFromMs(startMs + i * 1000), ...step }),
);

/** Everything a reporter writes of the job. */
function report(options: OutputOptions, terminal = {}): string {
  let text = "";
  const output = {
    write: (chunk: string) => {
      text += chunk;
      return true;
    },
    ...terminal,
  };
  const reporter = reporterOf(options, output);
  reporter.note("starting");
  reporter.submitted(job);
  let progress = startProgress(job);
  for (const event of events) {
    progress = advance(progress, event);
    reporter.event(progress, event);
  }
  reporter.ended(progress, { sheets: "out/job-1" });
  reporter.close();
  return text;
}

const after = (count: number): Progress => events.slice(0, count).reduce(advance, startProgress(job));

describe("in a pipe", () => {
  test("there is one line an event, then how it ended, who did what, when, and where it lies", () => {
    expect(report({}).trimEnd().split("\n")).toEqual([
      "starting",
      "report.pdf: job job-1 for printer office",
      "report.pdf: waiting",
      "report.pdf: taken up",
      "report.pdf: token issued by exec-1",
      "report.pdf: downloaded by exec-2: 9 bytes",
      "report.pdf: opened by exec-1",
      "report.pdf: converted 1 of 4 by exec-1",
      "report.pdf: printed 1 of 8",
      "report.pdf: processing-stopped: the paper tray is empty",
      "report.pdf: completed, 8 sides on 8 sheets",
      "  executor exec-1: token, 1 page",
      "  executor exec-2: download",
      "  first page after 6.00 s, end after 8.00 s",
      "  sheets: out/job-1",
    ]);
  });

  test("a failure tells why, with its code", () => {
    const failed = {
      ...after(9),
      state: JobState.ABORTED,
      message: "it is damaged",
      errorCode: "document-damaged",
    };
    let text = "";
    const write = (chunk: string) => Boolean((text += chunk));
    reporterOf({}, { write }).ended(failed, {});
    expect(text.split("\n")[0]).toBe(
      "report.pdf: aborted: it is damaged (document-damaged), 8 sides on 8 sheets",
    );
  });
});

describe("for programs", () => {
  test("every line is a JSON object, 64-bit numbers as strings", () => {
    const lines = report({ json: true })
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ type }) => type)).toEqual(["job", ...events.map(() => "event"), "ended"]);
    expect(lines[0]).toMatchObject({ job: { jobId: "job-1", state: "JOB_STATE_PENDING" } });
    expect(lines[3]).toMatchObject({
      jobId: "job-1",
      event: { sequence: "3", kind: "JOB_EVENT_KIND_TOKEN_ISSUED" },
    });
    expect(lines.at(-1)).toEqual({
      type: "ended",
      jobId: "job-1",
      state: "completed",
      message: "",
      errorCode: "",
      impressionsCompleted: 8,
      mediaSheetsCompleted: 8,
      executors: {
        "exec-1": { token: true, download: false, pages: 1 },
        "exec-2": { token: false, download: true, pages: 0 },
      },
      sheets: "out/job-1",
      firstPageMs: 6000,
      endMs: 8000,
    });
  });

  test("--quiet says nothing", () => {
    expect(report({ quiet: true })).toBe("");
  });
});

describe("on a terminal", () => {
  test("bars are redrawn in place, and the end stays", () => {
    const text = report({}, { isTTY: true, columns: 100, rows: 24 });
    const shown = stripVTControlCharacters(text)
      .split("\n")
      .map((line) => line.trim());
    expect(shown.some((line) => line.includes("converted ████░░░░░░░░░░░░ 1/4"))).toBe(true);
    expect(shown.slice(-6, -1)).toEqual([
      "report.pdf: completed, 8 sides on 8 sheets",
      "executor exec-1: token, 1 page",
      "executor exec-2: download",
      "first page after 6.00 s, end after 8.00 s",
      "sheets: out/job-1",
    ]);
  });

  test("a line tells what is converted and printed, and why the engine stopped, within the width", () => {
    expect(progressLine(after(1), 120)).toContain(
      "converted ░░░░░░░░░░░░░░░░ 0/?  printed ░░░░░░░░░░░░░░░░ 0/?  pending",
    );
    expect(progressLine(after(8), 160)).toContain(
      "converted ████░░░░░░░░░░░░ 1/4  printed ██░░░░░░░░░░░░░░ 1/8  processing-stopped: the paper tray is empty",
    );
    expect(progressLine({ ...after(8), name: "a very long name of a document.pdf" }, 60)).toHaveLength(59);
  });

  test.each([
    { isTTY: true, rows: 0 },
    { isTTY: false, rows: 24 },
  ])("%j gets lines instead", (terminal) => {
    expect(report({}, terminal)).toBe(report({}));
  });
});

describe("progress", () => {
  test("tells which executor did what, in the order in which they came", () => {
    expect(workTexts(after(9).work)).toEqual(["exec-1: token, 1 page", "exec-2: download"]);
  });

  test("of a job watched later counts time from when the job was made", () => {
    expect(after(9)).toMatchObject({
      startedMs: startMs,
      firstPageMs: startMs + 6000,
      endedMs: startMs + 8000,
    });
    expect(after(3).firstPageMs).toBeUndefined();
  });
});
