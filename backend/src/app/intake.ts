/**
 * Intake, SVC001: takes print data and print jobs from users, and hands the jobs to the controllers through the queue
 * `instructions` (a lane a printer; S101).
 *
 * A job that is accepted is never lost and never made twice. Its id is fixed first (under the request id, where the client
 * gave one), then its document is claimed, its record made, and last it is queued; each step may be repeated, so a repeat of
 * the request or `recover` goes on wherever a crash left off.
 */
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import {
  hasCode,
  type Job,
  type JobEvent,
  JobEventKind,
  JobState,
  type JobTicket,
  JobTicketSchema,
  PlatenError,
  type RegisteredPrinter,
  type SubmitJobRequest,
} from "@platen/proto";
import { z } from "zod";
import {
  type JobId,
  newJobId,
  parseDocumentId,
  parseJobId,
  type PrinterId,
  parsePrinterId,
} from "../domain/ids.ts";
import { cancelRequestedJob, isCancelRequested, isEnded, pendingJob } from "../domain/job.ts";
import { resolveTicket, validateTicket } from "../domain/ticket.ts";
import type { KeyValueStore } from "../ports/key-value.ts";
import type { WorkQueue } from "../ports/work-queue.ts";
import { type Documents, documentUri, type UploadedDocument, type UploadHeader } from "./documents.ts";
import type { JobFilter, JobPage, Jobs } from "./jobs.ts";
import { Records } from "./records.ts";

/** The printers that have registered, and what they can do. */
export interface PrinterDirectory {
  get(printerId: PrinterId): Promise<RegisteredPrinter | undefined>;
  /** By printer id. */
  list(): Promise<RegisteredPrinter[]>;
}

export interface IntakeOptions {
  readonly keyValue: KeyValueStore;
  readonly jobs: Jobs;
  readonly documents: Documents;
  readonly printers: PrinterDirectory;
  readonly instructions: WorkQueue;
  /** A repeat of a request id is known as one for so long. */
  readonly retentionMs: number;
  readonly now: () => number;
}

/** Made once a request id; what job a repeat means. */
const submissionSchema = z.object({ jobId: z.string() });
type Submission = z.infer<typeof submissionSchema>;

/** By how much the clocks of several intakes may differ. */
const clockSkewMs = 5 * 60 * 1000;
const maxUriLength = 2048;
/** RFC 8011 section 5.1.3: a name has at most 255 octets; counted in characters here. */
const maxNameLength = 255;

export class Intake {
  readonly #options: IntakeOptions;
  readonly #submissions: Records<Submission>;
  #recoveredMs = 0;

  private constructor(options: IntakeOptions, submissions: Records<Submission>) {
    this.#options = options;
    this.#submissions = submissions;
  }

  static async open(options: IntakeOptions): Promise<Intake> {
    const bucket = await options.keyValue.bucket("submissions", { ttlMs: options.retentionMs });
    return new Intake(options, new Records(bucket, submissionSchema));
  }

  /**
   * Makes a print job and queues it. Throws `invalid-argument`, `ticket-invalid`, `ticket-unsupported`, `printer-unknown`,
   * `document-unknown`, `document-used`.
   */
  async submit(request: SubmitJobRequest): Promise<Job> {
    const key = submissionKey(request.requestId);
    const first = key && (await this.#submissions.get(key));
    const existing = first && (await this.#options.jobs.get(parseJobId(first.value.jobId)));
    if (existing) return this.#queued(existing);

    const { printerId, ticket } = await this.#accepted(request);
    const jobId = await this.#jobIdOf(key);
    const document = await this.#documentOf(request.document, jobId);
    const job = pendingJob(
      {
        jobId,
        printerId,
        jobName: nameOf(request.jobName) || document.name || "untitled",
        userName: nameOf(request.userName),
        documentUri: document.uri,
        ticket,
      },
      this.#options.now(),
    );
    return this.#queued(await this.#created(job));
  }

  /** As `Documents.upload`. */
  upload(
    header: UploadHeader,
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<UploadedDocument> {
    return this.#options.documents.upload(header, chunks, signal);
  }

  get(jobId: JobId): Promise<Job | undefined> {
    return this.#options.jobs.get(jobId);
  }

  /** As `Jobs.watch`. */
  watch(jobId: JobId, afterSequence: bigint, signal: AbortSignal): AsyncIterable<JobEvent> {
    return this.#options.jobs.watch(jobId, afterSequence, signal);
  }

  /** As `Jobs.list`. */
  list(filter: JobFilter): Promise<JobPage> {
    return this.#options.jobs.list(filter);
  }

  printers(): Promise<RegisteredPrinter[]> {
    return this.#options.printers.list();
  }

  /**
   * Asks for the end of a job: one that nobody has taken up is canceled here and now, in one step with finding it so, and of
   * one under way the wish is noted for its controller. Throws `job-unknown`.
   */
  async cancel(jobId: JobId, message: string): Promise<Job> {
    const { jobs, documents, now } = this.#options;
    const reason = nameOf(message);
    const job = await jobs.change(jobId, (present) => {
      if (isEnded(present) || isCancelRequested(present)) return undefined;
      const kind = present.state === JobState.PENDING ? JobEventKind.ENDED : JobEventKind.CANCEL_REQUESTED;
      return {
        kind,
        message: reason || "canceled by the user",
        apply: (one) => cancelRequestedJob(one, reason, now()),
      };
    });
    if (isEnded(job)) await documents.release(jobId);
    return job;
  }

  /**
   * Queues jobs that an intake made and, by a crash, did not queue, and keeps from expiring what waits for long. The first
   * time it looks at all jobs, later at those made since. To be called at the start and then at intervals.
   */
  async recover(): Promise<void> {
    const { jobs, now } = this.#options;
    const startMs = now();
    for await (const job of jobs.active(this.#recoveredMs - clockSkewMs)) await this.#queued(job);
    this.#recoveredMs = startMs;
    await jobs.renew();
  }

  /** What can be refused is refused before anything is written. */
  async #accepted(request: SubmitJobRequest): Promise<{ printerId: PrinterId; ticket: JobTicket }> {
    const printerId = parsePrinterId(request.printerId);
    const ticket = request.ticket ?? create(JobTicketSchema);
    validateTicket(ticket);
    if (request.document.case === "documentUri") requireHttp(request.document.value);
    const printer = await this.#options.printers.get(printerId);
    if (!printer?.capabilities) {
      throw new PlatenError("printer-unknown", `no printer named ${printerId} has registered`);
    }
    resolveTicket(ticket, printer.capabilities, request.jobName);
    return { printerId, ticket };
  }

  /** The job id of a submission; of simultaneous repeats all get the same one. */
  async #jobIdOf(key: string | undefined): Promise<JobId> {
    const jobId = newJobId(this.#options.now());
    if (!key) return jobId;
    try {
      await this.#submissions.create(key, { jobId });
      return jobId;
    } catch (error) {
      if (!hasCode(error, "conflict")) throw error;
      const first = await this.#submissions.get(key);
      return first ? parseJobId(first.value.jobId) : this.#jobIdOf(key);
    }
  }

  async #documentOf(
    document: SubmitJobRequest["document"],
    jobId: JobId,
  ): Promise<{ uri: string; name: string }> {
    switch (document.case) {
      case "documentId": {
        const documentId = parseDocumentId(document.value);
        const { fileName } = await this.#options.documents.claim(documentId, jobId);
        return { uri: documentUri(documentId), name: nameOf(fileName) };
      }
      case "documentUri":
        return { uri: document.value, name: nameOf(lastSegment(document.value)) };
      default:
        throw new PlatenError(
          "invalid-argument",
          "there is nothing to print: give a document_id or a document_uri",
        );
    }
  }

  /** The job with its record made: by this call, or by a simultaneous repeat of it. */
  async #created(job: Job): Promise<Job> {
    const { jobs } = this.#options;
    try {
      await jobs.create(job);
      return job;
    } catch (error) {
      const other = hasCode(error, "conflict") && (await jobs.get(parseJobId(job.jobId)));
      if (other) return other;
      throw error;
    }
  }

  /** The job, in the queue if nobody has taken it up yet; what is queued already is not queued again. */
  async #queued(job: Job): Promise<Job> {
    if (job.state === JobState.PENDING) {
      await this.#options.instructions.enqueue(job.printerId, job.jobId, Buffer.from(job.jobId));
    }
    return job;
  }
}

/** Where the submission of a request id is found; undefined without one. Throws `invalid-argument`. */
function submissionKey(requestId: string): string | undefined {
  if (requestId === "") return undefined;
  if (requestId.length > 128) {
    throw new PlatenError("invalid-argument", "request_id must have at most 128 characters");
  }
  return createHash("sha256").update(requestId).digest("hex");
}

/** Text for people on one line: no control characters (a terminal would obey them), not too long. */
const nameOf = (text: string): string =>
  text
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ")
    .trim()
    .slice(0, maxNameLength);

function requireHttp(uri: string): void {
  const protocol = URL.parse(uri)?.protocol;
  if (uri.length > maxUriLength || (protocol !== "http:" && protocol !== "https:")) {
    throw new PlatenError(
      "invalid-argument",
      `document_uri must be an http or https URL of at most ${maxUriLength} characters; upload what lies elsewhere`,
    );
  }
}

/** The last segment of a URL's path, decoded where that is possible. */
function lastSegment(uri: string): string {
  const { pathname, hostname } = new URL(uri);
  const segment = pathname.split("/").findLast((part) => part !== "") ?? hostname;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
