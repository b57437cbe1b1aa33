/** How commands that follow jobs tell of them: bars on a terminal, lines in a pipe, JSON for programs, or nothing. */
import { toJson } from "@bufbuild/protobuf";
import {
  type Job,
  type JobEvent,
  JobEventKind,
  JobEventSchema,
  JobSchema,
  JobState,
  type PlatenError,
} from "@platen/proto";
import { type Command, Option } from "commander";
import { createLogUpdate } from "log-update";
import { stateName } from "../domain/job.ts";
import { errorText, refusalOf } from "./exit.ts";
import { amount, type Progress, workTexts } from "./progress.ts";

export interface OutputOptions {
  json?: boolean;
  quiet?: boolean;
}

export function addOutputOptions(command: Command): Command {
  command.addOption(
    new Option("--json", "one JSON object a line").conflicts("quiet").helpGroup("Output options:"),
  );
  return command.addOption(new Option("--quiet", "only errors").helpGroup("Output options:"));
}

/** What is said of a job at its end beside its progress. */
export interface Ending {
  /** Where the sheets lie; undefined when they are elsewhere. */
  readonly sheets?: string | undefined;
}

export interface Reporter {
  /** The job exists. */
  submitted(job: Job): void;
  event(progress: Progress, event: JobEvent): void;
  ended(progress: Progress, ending: Ending): void;
  /** What the user named makes no job. Goes to standard error whatever the output is. */
  refused(name: string, error: PlatenError): void;
  /** A sentence for people, which no program needs. */
  note(text: string): void;
  /** Leaves the terminal as it should be; may be repeated. */
  close(): void;
}

/** Where a reporter writes: standard output, or a fake in tests. */
export type Output = Pick<NodeJS.WriteStream, "write"> & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

export function reporterOf(options: OutputOptions, output: Output = process.stdout): Reporter {
  if (options.json) return jsonReporter(output);
  if (options.quiet) return quietReporter;
  // A terminal without rows or without control sequences shows no bars.
  return output.isTTY && output.rows !== 0 && process.env["TERM"] !== "dumb"
    ? terminalReporter(output as NodeJS.WriteStream)
    : plainReporter(output);
}

/** Runs an action with a reporter, and leaves the terminal as it should be however it ends. */
export async function reporting<T>(
  options: OutputOptions,
  action: (reporter: Reporter) => Promise<T>,
): Promise<T> {
  const reporter = reporterOf(options);
  try {
    return await action(reporter);
  } finally {
    reporter.close();
  }
}

const quietReporter: Reporter = {
  submitted() {},
  event() {},
  ended() {},
  refused: (name, error) => process.stderr.write(`${errorText(refusalOf(name, error), false)}\n`),
  note() {},
  close() {},
};

/** One JSON object a line; protobuf messages as proto3 JSON, so that 64-bit numbers are strings. */
export const writeJson = (output: Pick<Output, "write">, value: object): void => {
  output.write(`${JSON.stringify(value)}\n`);
};

function jsonReporter(output: Output): Reporter {
  return {
    ...quietReporter,
    submitted: (job) => writeJson(output, { type: "job", job: toJson(JobSchema, job) }),
    refused: (name, error) => {
      quietReporter.refused(name, error);
      writeJson(output, { type: "refused", name, message: error.message, errorCode: error.code });
    },
    event: ({ jobId }, event) =>
      writeJson(output, { type: "event", jobId, event: toJson(JobEventSchema, event) }),
    ended: (progress, { sheets }) => {
      const { jobId, message, errorCode, printed, startedMs, firstPageMs, endedMs } = progress;
      writeJson(output, {
        type: "ended",
        jobId,
        state: stateName(progress.state),
        message,
        errorCode,
        impressionsCompleted: printed,
        mediaSheetsCompleted: progress.sheets,
        executors: Object.fromEntries(progress.work),
        sheets,
        firstPageMs: firstPageMs && Math.round(firstPageMs - startedMs),
        endMs: endedMs && Math.round(endedMs - startedMs),
      });
    },
  };
}

const clip = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1)}…`;

/** The end of a job, in one line. */
function endText({ name, state, message, errorCode, printed, sheets }: Progress): string {
  const why =
    state === JobState.COMPLETED || !message ? "" : `: ${message}${errorCode ? ` (${errorCode})` : ""}`;
  return `${name}: ${stateName(state)}${why}, ${amount({ printed, sheets })}`;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;

/** What follows a job's end: who did it, how long it took, where it lies. */
function details({ work, startedMs, firstPageMs, endedMs }: Progress, { sheets }: Ending): string[] {
  const times = [
    firstPageMs !== undefined && `first page after ${seconds(firstPageMs - startedMs)}`,
    endedMs !== undefined && `end after ${seconds(endedMs - startedMs)}`,
  ].filter(Boolean);
  return [
    ...workTexts(work).map((text) => `  executor ${text}`),
    ...(times.length ? [`  ${times.join(", ")}`] : []),
    ...(sheets ? [`  sheets: ${sheets}`] : []),
  ];
}

function plainReporter(output: Output): Reporter {
  const line = (text: string) => output.write(`${text}\n`);
  return {
    ...quietReporter,
    submitted: ({ jobId, jobName, printerId }) => line(`${jobName}: job ${jobId} for printer ${printerId}`),
    event: (progress, event) => {
      if (event.kind !== JobEventKind.ENDED) line(`${progress.name}: ${eventText(progress, event)}`);
    },
    ended: (progress, ending) => [endText(progress), ...details(progress, ending)].forEach(line),
    note: line,
  };
}

const kindTexts: Partial<Record<JobEventKind, string>> = {
  [JobEventKind.CREATED]: "waiting",
  [JobEventKind.STARTED]: "taken up",
  [JobEventKind.TOKEN_ISSUED]: "token issued",
  [JobEventKind.DOWNLOADED]: "downloaded",
  [JobEventKind.OPENED]: "opened",
  [JobEventKind.CONVERTED]: "all pages converted",
  [JobEventKind.PRINT_REQUESTED]: "print requested",
  [JobEventKind.CANCEL_REQUESTED]: "cancel requested",
  [JobEventKind.CLEANED_UP]: "cleaned up",
};

/** One event, in a line. */
function eventText(progress: Progress, { kind, message, executorId, state }: JobEvent): string {
  const { converted, impressions, printed, copies } = progress;
  const by = executorId ? ` by ${executorId}` : "";
  switch (kind) {
    case JobEventKind.PAGE_CONVERTED:
      return `converted ${converted} of ${impressions}${by}`;
    case JobEventKind.PRINTED:
      return `printed ${printed} of ${impressions * copies}`;
    case JobEventKind.PRINTER_STATE_CHANGED:
      return `${stateName(state)}${message ? `: ${message}` : ""}`;
    default: {
      const text = kindTexts[kind] ?? `event ${kind}`;
      return `${text}${by}${message && message !== text ? `: ${message}` : ""}`;
    }
  }
}

const barWidth = 16;
const nameWidth = 24;

function bar(done: number, all: number): string {
  const filled = all === 0 ? 0 : Math.min(barWidth, Math.floor((done / all) * barWidth));
  return `${"█".repeat(filled)}${"░".repeat(barWidth - filled)} ${done}/${all || "?"}`;
}

/** A job under way, as one line of a terminal. */
export function progressLine(progress: Progress, columns: number): string {
  const { name, state, converted, impressions, printed, copies, message } = progress;
  const bars = `converted ${bar(converted, impressions)}  printed ${bar(printed, impressions * copies)}`;
  const why = state === JobState.PROCESSING_STOPPED && message ? `: ${message}` : "";
  return clip(`${clip(name, nameWidth).padEnd(nameWidth)}  ${bars}  ${stateName(state)}${why}`, columns - 1);
}

/** Lines of the jobs under way at the bottom, redrawn in place; what has ended scrolls up. */
function terminalReporter(output: NodeJS.WriteStream): Reporter {
  const screen = createLogUpdate(output);
  const underWay = new Map<string, Progress>();
  const draw = () => {
    const lines = [...underWay.values()].map((progress) => progressLine(progress, output.columns ?? 80));
    if (lines.length) screen(lines.join("\n"));
    else screen.clear();
  };
  const persist = (lines: readonly string[]) => {
    screen.clear();
    for (const line of lines) output.write(`${line}\n`);
    draw();
  };
  return {
    submitted() {},
    event: (progress, event) => {
      if (event.kind !== JobEventKind.ENDED) underWay.set(progress.jobId, progress);
      draw();
    },
    ended: (progress, ending) => {
      underWay.delete(progress.jobId);
      persist([endText(progress), ...details(progress, ending)]);
    },
    refused: (name, error) => {
      screen.clear();
      quietReporter.refused(name, error);
      draw();
    },
    note: (text) => persist([text]),
    close: () => {
      underWay.clear();
      screen.clear();
      screen.done();
    },
  };
}
