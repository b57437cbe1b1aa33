/**
 * The job controller, VM001: takes print instructions and drives each through S101 to S112.
 *
 * It keeps no state of its own. Every request it sends has a request id made from the job's id, so a controller that takes
 * over a job from one that died simply walks the same steps again: each step answers again what it answered first, and the
 * walk goes on where the other one stopped. What must not be walked twice is the end: a job that is in an end state (S111)
 * is only cleaned up (S112).
 */
import { hasCode, type Job, JobEventKind, JobStateReason, PlatenError, toPlatenError } from "@platen/proto";
import type { Ending } from "../domain/endings.ts";
import { parseJobId, parsePrinterId, type Session } from "../domain/ids.ts";
import { abortedBy, endedJob, isEnded, processingJob } from "../domain/job.ts";
import { resolveTicket } from "../domain/ticket.ts";
import type { Delivery, WorkQueue } from "../ports/work-queue.ts";
import type { Documents } from "./documents.ts";
import { JobRun, type JobRunDependencies, requestIds } from "./job-run.ts";
import type { Printers } from "./printers.ts";
import { backoffMs, isPassing, retryUnavailable } from "./retry.ts";

export interface ControllerDependencies extends JobRunDependencies {
  readonly instructions: WorkQueue;
  readonly documents: Pick<Documents, "release">;
  readonly printers: Printers;
  readonly now: () => number;
  readonly leaseMs: number;
  readonly log: (error: PlatenError) => void;
}

/** A failure that nobody foresaw is tried again so often; what is merely away is waited for without end. */
const maxUnforeseen = 5;

/** What the operator reads of a job that does not get on, and may never: the other side may be misconfigured, not merely away. */
const waiting = (jobId: string, { code, message }: PlatenError): PlatenError =>
  new PlatenError(code, `job ${jobId} waits, and will be tried again: ${message}`);

export class Controller {
  readonly #deps: ControllerDependencies;
  constructor(dependencies: ControllerDependencies) {
    this.#deps = dependencies;
  }

  /** Takes and drives jobs, one a printer at a time, until `signal` aborts; then gives back those under way. */
  async run(signal: AbortSignal): Promise<void> {
    const underWay = new Set<Promise<void>>();
    for await (const delivery of this.#deps.instructions.deliveries(signal)) {
      const handled = this.#handle(delivery, signal).finally(() => underWay.delete(handled));
      underWay.add(handled);
    }
    await Promise.all(underWay);
  }

  async #handle(delivery: Delivery, shutdown: AbortSignal): Promise<void> {
    const lost = new AbortController();
    const signal = AbortSignal.any([shutdown, lost.signal]);
    const keeper = setInterval(() => {
      delivery.extend().catch((error: unknown) => {
        // Another controller has the job now.
        if (hasCode(error, "conflict")) lost.abort(error);
      });
    }, this.#deps.leaseMs / 3);
    try {
      await this.#drive(delivery, signal);
      await delivery.ack();
    } catch (thrown) {
      const error = toPlatenError(thrown);
      if (!signal.aborted) this.#deps.log(isPassing(error, signal) ? waiting(delivery.id, error) : error);
      const retryMs = shutdown.aborted ? 0 : backoffMs(Math.min(delivery.attempt + 1, 10));
      // Where even that fails the lease runs out, and the job is delivered again.
      if (!lost.signal.aborted) await delivery.release(retryMs).catch(this.#logAny);
    } finally {
      clearInterval(keeper);
    }
  }

  readonly #logAny = (error: unknown): void => this.#deps.log(toPlatenError(error));

  /** S101 to S112 of one job. */
  async #drive(delivery: Delivery, signal: AbortSignal): Promise<void> {
    const { jobs, now } = this.#deps;
    const jobId = parseJobId(Buffer.from(delivery.payload).toString());
    const job = await jobs.change(jobId, {
      kind: JobEventKind.STARTED,
      message: delivery.attempt === 1 ? "taken up" : `taken up again, attempt ${delivery.attempt}`,
      apply: (present) => processingJob(present, JobStateReason.JOB_FETCHABLE),
    }); // S101 to S105
    const session: Session = { jobId, printerId: parsePrinterId(job.printerId) };
    if (!isEnded(job)) {
      const ending = await this.#run(job, session, delivery.attempt, signal);
      await jobs.change(jobId, {
        kind: JobEventKind.ENDED,
        message: ending.message,
        apply: (present) => endedJob(present, ending, now()),
      }); // S111
    }
    await this.#cleanUp(session, signal);
  }

  async #run(job: Job, session: Session, attempt: number, signal: AbortSignal): Promise<Ending> {
    try {
      const printer = await this.#deps.printers.get(session.printerId);
      if (!printer?.capabilities) {
        throw new PlatenError("printer-unknown", `no printer named ${session.printerId} has registered`);
      }
      const settings = resolveTicket(job.ticket!, printer.capabilities, job.jobName);
      return await new JobRun(this.#deps, job, session, settings).toEnd(signal);
    } catch (thrown) {
      const error = toPlatenError(thrown);
      const unforeseen = error.code === "internal" && attempt < maxUnforeseen;
      if (signal.aborted || isPassing(error, signal) || unforeseen) throw error;
      return abortedBy(error);
    }
  }

  /** S112, however the print ended: nothing of the session remains. */
  async #cleanUp(session: Session, signal: AbortSignal): Promise<void> {
    const { executors, links, documents, jobs } = this.#deps;
    await links.release(session);
    await documents.release(session.jobId);
    const requestId = requestIds(session.jobId).complete;
    try {
      const answer = await retryUnavailable(() => executors.complete({ requestId, session }, { signal }), {
        signal,
      });
      await jobs.change(session.jobId, {
        kind: JobEventKind.CLEANED_UP,
        message: "converted data and session record deleted",
        executorId: answer.executorId,
      });
    } catch (error) {
      // S1605: an attempt before this one has done it, or the job ended before it had a session.
      if (!hasCode(error, "session-missing")) throw error;
    }
  }
}
