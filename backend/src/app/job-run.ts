/** One walk of one job through S106 to S110: token, download, conversion and print, with the user's cancel at any point. */
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import {
  type ConversionInstructorService,
  type ConversionSettings,
  type ConvertResponse,
  type DownloadInstructorService,
  type Job,
  type JobErrorAction,
  JobEventKind,
  JobState,
  JobStateReason,
  PlatenError,
  type PrintInstruction,
  PrintInstructionSchema,
  type PrintStatus,
  type ServiceClient,
} from "@platen/proto";
import { canceledByUser, type Ending, endingOf } from "../domain/endings.ts";
import type { JobId, Session } from "../domain/ids.ts";
import { isCancelRequested, processingJob, stoppedJob } from "../domain/job.ts";
import type { Executors } from "./instructors.ts";
import type { Jobs } from "./jobs.ts";
import type { PrinterLinks } from "./printer-links.ts";
import { isPassing, retryUnavailable } from "./retry.ts";

/** The request ids of a job's steps: the same whoever drives it, however often. */
export const requestIds = (jobId: JobId) => ({
  token: `${jobId}.token`,
  download: `${jobId}.download`,
  convert: `${jobId}.convert`,
  complete: `${jobId}.complete`,
});

export interface JobRunDependencies {
  readonly jobs: Jobs;
  readonly links: PrinterLinks;
  readonly executors: Executors;
  readonly downloadInstructor: ServiceClient<typeof DownloadInstructorService>;
  readonly conversionInstructor: ServiceClient<typeof ConversionInstructorService>;
  /** A cancel is done after so long, whether the printer answers or not. */
  readonly cancelPatienceMs: number;
}

type Opened = Extract<ConvertResponse["progress"], { case: "opened" }>["value"];

export class JobRun {
  readonly #deps: JobRunDependencies;
  readonly #job: Job;
  readonly #session: Session;
  readonly #settings: ConversionSettings;
  /** The print, once the printer has been asked for it (S109). */
  #printing: Promise<Ending> | undefined;

  constructor(dependencies: JobRunDependencies, job: Job, session: Session, settings: ConversionSettings) {
    this.#deps = dependencies;
    this.#job = job;
    this.#session = session;
    this.#settings = settings;
  }

  /** Walks to the job's end and says how it ended. Throws what a later walk may get over, or what aborted the job. */
  async toEnd(signal: AbortSignal): Promise<Ending> {
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    const walk = this.#walk(either);
    const canceled = this.#cancelWished(either).then(() => this.#cancel(signal));
    try {
      return await Promise.race([walk, canceled]);
    } finally {
      over.abort(new PlatenError("canceled", "the job has ended"));
      await Promise.allSettled([walk, canceled]);
    }
  }

  async #walk(signal: AbortSignal): Promise<Ending> {
    const token = await this.#requestToken(signal);
    await this.#download(signal);
    const opened = Promise.withResolvers<Opened>();
    const converting = this.#convert(opened.resolve, signal);
    // Rejects when the conversion fails, and never resolves.
    const failed = converting.then(() => new Promise<never>(() => {}));
    const { identificationId, metafileUrl } = await Promise.race([opened.promise, failed]);
    const instruction = create(PrintInstructionSchema, {
      session: this.#session,
      identificationId,
      metafileUrl,
      token,
      jobErrorAction: this.#settings.ticket?.jobErrorAction as JobErrorAction,
      mediaSheetsCompleted: this.#job.mediaSheetsCompleted,
    });
    const printing = this.#print(instruction, signal);
    this.#printing = printing;
    try {
      const ending = await Promise.race([printing, failed]);
      if (ending.state !== JobState.ABORTED) return ending;
      // The page that the printer could not get may be one that could not be converted: that is the better reason.
      return await Promise.race([failed, delay(1000, ending, { signal })]);
    } catch (thrown) {
      if (!signal.aborted && !isPassing(thrown, signal)) await this.#stopPrinter(signal);
      throw thrown;
    }
  }

  /** S106. */
  async #requestToken(signal: AbortSignal): Promise<string> {
    const { executors } = this.#deps;
    const request = { requestId: requestIds(this.#session.jobId).token, session: this.#session };
    const { token, executorId } = await retryUnavailable(() => executors.requestToken(request, { signal }), {
      signal,
    });
    await this.#tell(JobEventKind.TOKEN_ISSUED, "session created", executorId);
    return token;
  }

  /** S107. */
  async #download(signal: AbortSignal): Promise<void> {
    const { downloadInstructor } = this.#deps;
    const requestId = requestIds(this.#session.jobId).download;
    const request = { requestId, session: this.#session, documentUri: this.#job.documentUri };
    const { download } = await retryUnavailable(
      () => downloadInstructor.instructDownload(request, { signal }),
      { signal },
    );
    const message = `${download?.sizeBytes} bytes of ${download?.mediaType}`;
    await this.#tell(JobEventKind.DOWNLOADED, message, download?.executorId, (job) =>
      processingJob(job, JobStateReason.JOB_TRANSFORMING),
    );
  }

  /** S108. */
  async #convert(opened: (opened: Opened) => void, signal: AbortSignal): Promise<void> {
    const requestId = requestIds(this.#session.jobId).convert;
    const request = { requestId, session: this.#session, settings: this.#settings };
    let converted = 0;
    for await (const { conversion } of this.#deps.conversionInstructor.instructConversion(request, {
      signal,
    })) {
      const { progress, executorId } = conversion!;
      switch (progress.case) {
        case "opened": {
          const { impressions } = progress.value;
          opened(progress.value);
          await this.#tell(JobEventKind.OPENED, `${impressions} to print`, executorId, (job) => ({
            ...job,
            impressions,
          }));
          break;
        }
        case "pageConverted": {
          const { pageNumber, sizeBytes, blankBands, greyBands, colorBands } = progress.value;
          const impressionsConverted = ++converted;
          const message = `page ${pageNumber}: ${sizeBytes} bytes, ${blankBands} blank, ${greyBands} grey, ${colorBands} color bands`;
          await this.#tell(JobEventKind.PAGE_CONVERTED, message, executorId, (job) => ({
            ...job,
            impressionsConverted,
          }));
          break;
        }
        case "completed":
          await this.#tell(
            JobEventKind.CONVERTED,
            `${progress.value.pages} converted, source data deleted`,
            executorId,
          );
          return;
        default:
          throw new PlatenError("internal", "an executor told of the conversion in an unknown way");
      }
    }
    throw new PlatenError("unavailable", "the conversion broke off");
  }

  /** S109, S110. */
  async #print(instruction: PrintInstruction, signal: AbortSignal): Promise<Ending> {
    await this.#tell(JobEventKind.PRINT_REQUESTED, "print requested", "", (job) =>
      processingJob(job, JobStateReason.JOB_PRINTING),
    );
    let last: PrintStatus | undefined;
    for await (const news of this.#deps.links.print(this.#session, instruction, signal)) {
      if (news.kind === "unreachable") {
        await this.#tell(JobEventKind.PRINTER_STATE_CHANGED, news.message, "", (job) =>
          processingJob(job, JobStateReason.PRINTER_STOPPED, news.message),
        );
        last = undefined;
        continue;
      }
      await this.#hear(news.status, last);
      last = news.status;
      const ending = endingOf(news.status);
      if (ending) return ending;
    }
    throw new PlatenError("unavailable", "the printer stopped telling of the print before its end");
  }

  /** Tells intake what of a printer's status is news. */
  async #hear(status: PrintStatus, last: PrintStatus | undefined): Promise<void> {
    const counted = (job: Job): Job => ({
      ...job,
      impressionsCompleted: Math.max(job.impressionsCompleted, status.impressionsCompleted),
      mediaSheetsCompleted: Math.max(job.mediaSheetsCompleted, status.mediaSheetsCompleted),
    });
    const printed =
      status.impressionsCompleted > (last?.impressionsCompleted ?? 0) ||
      status.mediaSheetsCompleted > (last?.mediaSheetsCompleted ?? 0);
    if (printed) await this.#tell(JobEventKind.PRINTED, status.message, "", counted);
    const wasStopped = last?.state === JobState.PROCESSING_STOPPED;
    if (status.state === JobState.PROCESSING_STOPPED && (!wasStopped || status.message !== last?.message)) {
      await this.#tell(JobEventKind.PRINTER_STATE_CHANGED, status.message, "", (job) =>
        stoppedJob(job, status.message),
      );
    } else if (status.state === JobState.PROCESSING && (wasStopped || !last)) {
      await this.#tell(JobEventKind.PRINTER_STATE_CHANGED, status.message, "", (job) =>
        processingJob(job, JobStateReason.JOB_PRINTING),
      );
    }
  }

  async #cancelWished(signal: AbortSignal): Promise<void> {
    for await (const job of this.#deps.jobs.watchRecord(this.#session.jobId, signal))
      if (isCancelRequested(job)) return;
    // The walk came to its end first.
    await new Promise<never>((_, reject) => {
      const stop = () => reject(signal.reason as Error);
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
    });
  }

  /** S1411, the user's cancel: the printer has its say, unless it takes too long for it. */
  async #cancel(signal: AbortSignal): Promise<Ending> {
    const ending = await this.#stopPrinter(signal);
    return ending ?? canceledByUser;
  }

  /** Asks the printer to stop, and resolves to how its print ended; to undefined when it does not say. */
  async #stopPrinter(signal: AbortSignal): Promise<Ending | undefined> {
    if (!this.#printing) return undefined;
    const patience = AbortSignal.any([signal, AbortSignal.timeout(this.#deps.cancelPatienceMs)]);
    const stopped = this.#deps.links.cancel(this.#session, patience).then(() => this.#printing);
    const outOfPatience = delay(this.#deps.cancelPatienceMs, undefined, { signal: patience });
    // A printer that is gone, or that fails while it stops, does not keep the job from its end.
    return Promise.race([stopped, outOfPatience]).catch(() => undefined);
  }

  #tell(
    kind: JobEventKind,
    message: string,
    executorId = "",
    apply: (job: Job) => Job = (job) => job,
  ): Promise<Job> {
    return this.#deps.jobs.change(this.#session.jobId, { kind, message, executorId, apply });
  }
}
