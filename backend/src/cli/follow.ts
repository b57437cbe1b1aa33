/** What a client does with jobs: sends documents, submits, follows to the end. */
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { userInfo } from "node:os";
import { basename } from "node:path";
import {
  fileTrouble,
  type Job,
  type JobEvent,
  JobEventKind,
  type JobState,
  PlatenError,
} from "@platen/proto";
import { type RetryOptions, retryStream, retryUnavailable } from "../app/retry.ts";
import { isEnded } from "../domain/job.ts";
import { requireMediaType, sniffBytes } from "../domain/media-type.ts";
import { callTimeoutMs, type IntakeClient } from "./connection.ts";
import { interruption } from "./exit.ts";
import { advance, type Progress, startProgress } from "./progress.ts";
import type { Reporter } from "./reporter.ts";
import type { TicketInit } from "./ticket-options.ts";

/** What a user names on the command line. */
export type Source =
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "file"; readonly path: string; readonly sizeBytes: number }
  | { readonly kind: "stdin" };

const chunkBytes = 256 * 1024;

/**
 * Looks at what is named before anything starts; `-` is standard input. Throws `invalid-argument`, `document-damaged` (empty)
 * or `document-format`, with a sentence that does not name it: see `refusalOf`.
 */
export async function parseSource(name: string): Promise<Source> {
  if (name === "-") return { kind: "stdin" };
  if (/^https?:\/\//i.test(name)) return { kind: "url", url: name };
  try {
    return { kind: "file", path: name, sizeBytes: await sizeOfDocument(name) };
  } catch (cause) {
    if (cause instanceof PlatenError) throw cause;
    const why = /^[a-z][a-z0-9+.-]+:\/\//i.test(name)
      ? "of URLs only those of http and https can be printed"
      : fileTrouble(cause);
    throw new PlatenError("invalid-argument", why, { cause });
  }
}

/** The size of a file that begins as something that can be printed; 0, for unknown, of a pipe. */
async function sizeOfDocument(path: string): Promise<number> {
  const info = await stat(path);
  if (info.isDirectory()) throw new PlatenError("invalid-argument", "it is a folder");
  // What is read of a pipe is gone, and so is who writes to it once it is closed.
  if (!info.isFile()) return 0;
  if (info.size === 0) throw new PlatenError("document-damaged", "the file is empty");
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(sniffBytes), 0, sniffBytes, 0);
  requireMediaType(buffer.subarray(0, bytesRead));
  return info.size;
}

export interface Submission {
  readonly source: Source;
  readonly printerId: string;
  readonly ticket: TicketInit;
  /** Default: the file's name. */
  readonly jobName?: string | undefined;
}

/** Uploads where that is needed, and submits. A repeat after a lost answer makes no second job. */
export async function submit(
  intake: IntakeClient,
  submission: Submission,
  signal: AbortSignal,
): Promise<Job> {
  const { source, printerId, ticket, jobName = "" } = submission;
  const document =
    source.kind === "url"
      ? { case: "documentUri" as const, value: source.url }
      : { case: "documentId" as const, value: await upload(intake, source, signal) };
  const request = { requestId: randomUUID(), printerId, jobName, userName: userName(), document, ticket };
  const { job } = await retryUnavailable(
    () => intake.submitJob(request, { signal, timeoutMs: callTimeoutMs }),
    { signal, attempts: 3 },
  );
  return job!;
}

async function upload(
  intake: IntakeClient,
  source: Exclude<Source, { kind: "url" }>,
  signal: AbortSignal,
): Promise<string> {
  const parts = async function* () {
    const fromFile = source.kind === "file";
    const header = fromFile
      ? { fileName: basename(source.path), sizeBytes: BigInt(source.sizeBytes) }
      : { fileName: "standard input" };
    yield { part: { case: "header" as const, value: header } };
    const bytes = fromFile ? createReadStream(source.path, { highWaterMark: chunkBytes }) : process.stdin;
    for await (const chunk of bytes as AsyncIterable<Buffer>) {
      for (let from = 0; from < chunk.length; from += chunkBytes) {
        yield { part: { case: "chunk" as const, value: chunk.subarray(from, from + chunkBytes) } };
      }
    }
  };
  const { documentId } = await intake.uploadDocument(parts(), { signal });
  return documentId;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id that has no name.
    return "";
  }
}

/** A job's events from the start, over broken connections. */
function events(intake: IntakeClient, jobId: string, retrying: RetryOptions): AsyncIterable<JobEvent> {
  const { signal } = retrying;
  let afterSequence = 0n;
  return retryStream(async function* () {
    for await (const { event } of intake.watchJob({ jobId, afterSequence }, { signal })) {
      afterSequence = event!.sequence;
      yield event!;
    }
  }, retrying);
}

export interface FollowOptions {
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  /** From when on time is counted, milliseconds since 1970; default: when the job was made, by the server's clock. */
  readonly startedMs?: number;
  /** Where the sheets lie. */
  readonly sheets?: (job: Progress) => string | undefined;
  /** How often in a row the server may be out of reach; default 8, some ten seconds. */
  readonly attempts?: number;
}

/** Reports a job until its end, and resolves to its end state. Rejects with `canceled` when `signal` aborts first, `unavailable`. */
export async function follow(intake: IntakeClient, job: Job, options: FollowOptions): Promise<JobState> {
  const { reporter, signal, startedMs, sheets, attempts = 8 } = options;
  // A connection that breaks once is nothing to speak of.
  const onFailure = (failed: number) => {
    if (failed === 2) reporter.note("the server is out of reach, and is tried again");
  };
  let progress = startProgress(job, startedMs);
  for await (const event of events(intake, job.jobId, { signal, attempts, onFailure })) {
    progress = advance(progress, event);
    reporter.event(progress, event);
    if (event.kind === JobEventKind.ENDED) break;
  }
  if (signal.aborted) throw interruption();
  if (!isEnded(progress)) {
    // The end was so long ago that its event is forgotten.
    const { job: last } = await intake.getJob({ jobId: job.jobId }, { signal, timeoutMs: callTimeoutMs });
    progress = startProgress(last!, startedMs);
  }
  reporter.ended(progress, { sheets: sheets?.(progress) });
  return progress.state;
}
