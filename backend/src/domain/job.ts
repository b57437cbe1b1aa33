/**
 * The life of a print job, RFC 8011 section 5.3.7, as pure functions on its record:
 *
 *     pending ──▶ processing ◀──▶ processing-stopped
 *        │            └──────────────────┴──▶ completed | canceled | aborted
 *        └──▶ canceled | aborted
 *
 * An end state never changes again: every function returns a job that has ended as it is. A step that the picture lacks
 * throws `conflict`.
 */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type ErrorCode,
  type Job,
  type JobEvent,
  type JobEventKind,
  JobEventSchema,
  JobSchema,
  JobState,
  JobStateReason,
  JobStateSchema,
  type JobTicket,
  PlatenError,
} from "@platen/proto";
import { canceledByUser, type Ending, isEndState } from "./endings.ts";
import type { JobId, PrinterId } from "./ids.ts";

const { PENDING, PROCESSING, PROCESSING_STOPPED, COMPLETED, CANCELED, ABORTED } = JobState;

const next: Partial<Record<JobState, readonly JobState[]>> = {
  [PENDING]: [PROCESSING, CANCELED, ABORTED],
  [PROCESSING]: [PROCESSING, PROCESSING_STOPPED, COMPLETED, CANCELED, ABORTED],
  [PROCESSING_STOPPED]: [PROCESSING_STOPPED, PROCESSING, COMPLETED, CANCELED, ABORTED],
};

export const isEnded = (job: Pick<Job, "state">): boolean => isEndState(job.state);

/** Whether a user asked for the end of a job that has not ended yet. */
export const isCancelRequested = (job: Pick<Job, "stateReasons">): boolean =>
  job.stateReasons.includes(JobStateReason.PROCESSING_TO_STOP_POINT);

/** The state in RFC 8011's own spelling, for people: `processing-stopped`. */
export const stateName = (state: JobState): string =>
  JobStateSchema.value[state]?.localName.toLowerCase().replaceAll("_", "-") ?? `state ${state}`;

function move(job: Job, state: JobState, change: Partial<Job>): Job {
  if (isEnded(job)) return job;
  if (!next[job.state]?.includes(state)) {
    throw new PlatenError(
      "conflict",
      `job ${job.jobId} is ${stateName(job.state)} and cannot become ${stateName(state)}`,
    );
  }
  return { ...job, ...change, state };
}

export interface NewJob {
  readonly jobId: JobId;
  readonly printerId: PrinterId;
  readonly jobName: string;
  readonly userName: string;
  readonly documentUri: string;
  readonly ticket: JobTicket;
}

/** A job as intake takes it. */
export const pendingJob = (job: NewJob, nowMs: number): Job =>
  create(JobSchema, {
    ...job,
    state: PENDING,
    stateReasons: [JobStateReason.JOB_QUEUED],
    createTime: timestampFromMs(nowMs),
  });

const keepCancelWish = (job: Job, reasons: readonly JobStateReason[]): JobStateReason[] =>
  isCancelRequested(job) ? [...reasons, JobStateReason.PROCESSING_TO_STOP_POINT] : [...reasons];

/** Taken up (S101), gone on after a stop, or come to another step of processing. A user's wish to cancel stays. */
export const processingJob = (job: Job, reason: JobStateReason, message = ""): Job =>
  move(job, PROCESSING, { stateReasons: keepCancelWish(job, [reason]), stateMessage: message });

/** The engine stopped; `message` says why. A user's wish to cancel stays. */
export const stoppedJob = (job: Job, message: string): Job =>
  move(job, PROCESSING_STOPPED, {
    stateReasons: keepCancelWish(job, [JobStateReason.PRINTER_STOPPED]),
    stateMessage: message,
  });

/** Ended (S111). */
export const endedJob = (job: Job, ending: Ending, nowMs: number): Job =>
  move(job, ending.state, {
    stateReasons: [...ending.reasons],
    stateMessage: ending.message,
    errorCode: ending.errorCode,
    endTime: timestampFromMs(nowMs),
  });

/** The ending of a job that an error of the system, the document or the ticket aborts. */
export const abortedBy = (error: Pick<PlatenError, "code" | "message">): Ending => ({
  state: ABORTED,
  reasons: [...new Set([JobStateReason.ABORTED_BY_SYSTEM, reasonOfError(error.code)])],
  message: error.message,
  errorCode: error.code,
});

/**
 * A user asks for the end of a job. One that nobody has taken up is canceled at once; of one that is being processed the
 * wish is noted (`processing-to-stop-point`), for its controller to carry out.
 */
export function cancelRequestedJob(job: Job, message: string, nowMs: number): Job {
  if (job.state === PENDING) {
    return endedJob(job, message ? { ...canceledByUser, message } : canceledByUser, nowMs);
  }
  if (isEnded(job) || isCancelRequested(job)) return job;
  return { ...job, stateReasons: [...job.stateReasons, JobStateReason.PROCESSING_TO_STOP_POINT] };
}

/** What of RFC 8011 section 5.3.8 says best why a job failed; `aborted-by-system` where nothing says more. */
export function reasonOfError(code: ErrorCode): JobStateReason {
  switch (code) {
    case "download-failed":
    case "download-refused":
    case "download-too-large":
    case "download-timeout":
    case "document-unknown":
    case "document-used":
      return JobStateReason.DOCUMENT_ACCESS_ERROR;
    case "document-damaged":
      return JobStateReason.DOCUMENT_FORMAT_ERROR;
    case "document-format":
      return JobStateReason.UNSUPPORTED_DOCUMENT_FORMAT;
    case "document-password":
      return JobStateReason.DOCUMENT_PASSWORD_ERROR;
    case "ticket-invalid":
    case "ticket-unsupported":
      return JobStateReason.UNSUPPORTED_ATTRIBUTES_OR_VALUES;
    default:
      return JobStateReason.ABORTED_BY_SYSTEM;
  }
}

export interface EventDetails {
  /** Counted from 1. */
  readonly sequence: bigint;
  readonly kind: JobEventKind;
  readonly message: string;
  /** Empty for what no executor did. */
  readonly executorId: string;
}

/** The entry of a job's history that tells how it stands after a change. */
export const jobEvent = (job: Job, details: EventDetails, nowMs: number): JobEvent =>
  create(JobEventSchema, {
    ...details,
    time: timestampFromMs(nowMs),
    state: job.state,
    stateReasons: job.stateReasons,
    impressions: job.impressions,
    impressionsConverted: job.impressionsConverted,
    impressionsCompleted: job.impressionsCompleted,
    mediaSheetsCompleted: job.mediaSheetsCompleted,
    errorCode: job.errorCode,
  });
