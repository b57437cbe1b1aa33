/** What a watched job has come to, told by its events. Pure. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Job, type JobEvent, JobEventKind, type JobState } from "@platen/proto";

/** What one executor did for a job. */
export interface Work {
  readonly token: boolean;
  readonly download: boolean;
  readonly pages: number;
}

export interface Progress {
  readonly jobId: string;
  readonly name: string;
  readonly state: JobState;
  readonly message: string;
  readonly errorCode: string;
  /** Sides of one copy; 0 until the document is open. */
  readonly impressions: number;
  readonly converted: number;
  readonly copies: number;
  /** Sides, all copies. */
  readonly printed: number;
  readonly sheets: number;
  /** By executor id, in the order in which they came. */
  readonly work: ReadonlyMap<string, Work>;
  /** By the server's clock, milliseconds since 1970, as all times here. */
  readonly startedMs: number;
  readonly firstPageMs: number | undefined;
  readonly endedMs: number | undefined;
}

const msOf = (time: JobEvent["time"]): number => (time ? timestampMs(time) : 0);

/** `startedMs`: from when on time is counted; default: when the job was made. */
export const startProgress = (job: Job, startedMs = msOf(job.createTime)): Progress => ({
  jobId: job.jobId,
  name: job.jobName,
  state: job.state,
  message: job.stateMessage,
  errorCode: job.errorCode,
  impressions: job.impressions,
  converted: job.impressionsConverted,
  copies: job.ticket?.copies || 1,
  printed: job.impressionsCompleted,
  sheets: job.mediaSheetsCompleted,
  work: new Map(),
  startedMs,
  firstPageMs: undefined,
  endedMs: job.endTime && msOf(job.endTime),
});

export const advance = (progress: Progress, event: JobEvent): Progress => ({
  ...progress,
  state: event.state,
  message: event.message,
  errorCode: event.errorCode,
  impressions: event.impressions,
  converted: event.impressionsConverted,
  printed: event.impressionsCompleted,
  sheets: event.mediaSheetsCompleted,
  work: workAfter(progress.work, event),
  firstPageMs: progress.firstPageMs ?? (event.impressionsCompleted > 0 ? msOf(event.time) : undefined),
  endedMs: event.kind === JobEventKind.ENDED ? msOf(event.time) : progress.endedMs,
});

const noWork: Work = { token: false, download: false, pages: 0 };

function workAfter(
  all: ReadonlyMap<string, Work>,
  { kind, executorId }: JobEvent,
): ReadonlyMap<string, Work> {
  if (!executorId) return all;
  const before = all.get(executorId) ?? noWork;
  const after: Work = {
    token: before.token || kind === JobEventKind.TOKEN_ISSUED,
    download: before.download || kind === JobEventKind.DOWNLOADED,
    pages: before.pages + (kind === JobEventKind.PAGE_CONVERTED ? 1 : 0),
  };
  return new Map([...all, [executorId, after]]);
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** `executor-1: token, 3 pages`, one text an executor; those that only opened a document or answered have "no page". */
export const workTexts = (work: Progress["work"]): string[] =>
  [...work].map(([executorId, { token, download, pages }]) => {
    const parts = [token && "token", download && "download", pages > 0 && plural(pages, "page")];
    return `${executorId}: ${parts.filter(Boolean).join(", ") || "no page"}`;
  });

export const amount = ({ printed, sheets }: Pick<Progress, "printed" | "sheets">): string =>
  `${plural(printed, "side")} on ${plural(sheets, "sheet")}`;
