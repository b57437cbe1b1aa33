/**
 * Polling mode (seed paragraph [0112]): the printer asks whether anything is ready, and only then fetches it. A poll is no
 * more than a hint: what it says is ready is fetched, and what it says is to be canceled is asked about, over the other
 * connection. So a poll may go without TLS, and whoever meddles with it can neither print nor cancel.
 */
import {
  hasCode,
  JobState,
  JobStateReason,
  PlatenError,
  type PollPrinterQueueResponse,
  pollKeyOf,
  type PrinterQueueService,
  type PrintStatus,
  type ServiceClient,
  type SessionId,
} from "@platen/proto";
import { backoffMs, sleep } from "../app/backoff.ts";
import type { Printer } from "../app/printer.ts";
import { callTimeoutMs, isForgotten, type Registration } from "./registration.ts";

export interface PollingOptions {
  readonly printer: Printer;
  readonly registration: Registration;
  /** For all but polls. */
  readonly queue: ServiceClient<typeof PrinterQueueService>;
  /** For polls alone, where they go without TLS: the printer's key is not shown there. */
  readonly pollQueue: ServiceClient<typeof PrinterQueueService> | undefined;
  /** Told of what was refused and is not tried again. */
  readonly onRefused: (error: PlatenError) => void;
}

/** Longest a poll waits, milliseconds. */
const pollWaitMs = 30_000;
/** Between polls that brought nothing new although they did not wait, milliseconds. */
const breathMs = 500;

export class Polling {
  readonly #options: PollingOptions;
  /** Reports under way, by job id: a job is held until its end has been heard. */
  readonly #reports = new Map<string, Promise<void>>();
  readonly #reporting = new AbortController();

  constructor(options: PollingOptions) {
    this.#options = options;
  }

  /** Asks for prints until `signal` aborts, and then rejects; or rejects with a refusal of the first registration. */
  async run(signal: AbortSignal): Promise<never> {
    const { printer, registration } = this.#options;
    let { revised } = printer;
    let waitMs = await registration.register(signal);
    for (let retry = 1; ; ) {
      if (revised.aborted) {
        ({ revised } = printer);
        waitMs = await registration.register(signal);
      }
      try {
        await this.#round(waitMs, revised, signal);
        registration.found();
        retry = 1;
      } catch (error) {
        signal.throwIfAborted();
        if (revised.aborted) continue;
        if (isForgotten(error)) {
          waitMs = await registration.register(signal);
        } else {
          registration.lost(error);
        }
        // Also after registering: a backend that forgets at once is not to be hammered.
        await sleep(backoffMs(retry++), signal);
      }
    }
  }

  /** Waits until every report has been heard, or until `signal` aborts: then the rest is left to the backend's patience. */
  async settle(signal: AbortSignal): Promise<void> {
    const stop = () => this.#reporting.abort();
    signal.addEventListener("abort", stop, { once: true });
    await Promise.allSettled(this.#reports.values());
    signal.removeEventListener("abort", stop);
  }

  /** `revised` ends the wait, and nothing else. */
  async #round(waitMs: number, revised: AbortSignal, signal: AbortSignal): Promise<void> {
    const anyway = AbortSignal.any([signal, revised]);
    const answer = await this.#poll(Math.min(waitMs || pollWaitMs, pollWaitMs), anyway);
    let news = false;
    for (const { jobId } of answer.ready) {
      // What a printer that pauses leaves lying is ready again at the next poll.
      if (this.#options.printer.isPaused) break;
      if (!this.#reports.has(jobId)) news = (await this.#take(jobId, signal)) || news;
    }
    for (const { jobId } of answer.cancel) {
      if (this.#reports.has(jobId)) await this.#send(jobId, signal);
    }
    if (!news && answer.ready.length + answer.cancel.length > 0) await sleep(breathMs, signal);
  }

  #poll(waitMs: number, signal: AbortSignal): Promise<PollPrinterQueueResponse> {
    const { printer, queue, pollQueue, registration } = this.#options;
    const key = registration.printerKey;
    const heldJobIds = [...this.#reports.keys()];
    return (pollQueue ?? queue).pollPrinterQueue(
      { printerId: printer.printerId, waitMs, status: printer.status(), heldJobIds },
      {
        signal,
        timeoutMs: waitMs + callTimeoutMs,
        headers: { authorization: `Bearer ${pollQueue ? pollKeyOf(key) : key}` },
      },
    );
  }

  /** Fetches a print and starts it. Resolves to whether there was one. */
  async #take(jobId: string, signal: AbortSignal): Promise<boolean> {
    const { printer, queue, onRefused } = this.#options;
    const session = this.#session(jobId);
    try {
      const { instruction } = await queue.fetchPrintInstruction({ session }, this.#call(signal));
      if (instruction?.session?.jobId !== jobId) {
        throw new PlatenError("invalid-argument", `the instruction fetched for job ${jobId} is of another`);
      }
      printer.submit(instruction);
    } catch (error) {
      if (hasCode(error, "job-unknown")) return false;
      if (!hasCode(error, "invalid-argument")) throw error;
      onRefused(error);
      await queue.reportPrint({ status: refused(session, error) }, this.#call(signal));
      return true;
    }
    this.#reports.set(jobId, this.#report(jobId));
    return true;
  }

  /** S110: reports every change until the end has been heard. Never throws. */
  async #report(jobId: string): Promise<void> {
    const { printer, registration, onRefused } = this.#options;
    const { signal } = this.#reporting;
    let heard = 0n;
    let retry = 1;
    try {
      for await (const { sequence } of printer.watch(jobId, signal)) {
        while (heard < sequence) {
          try {
            heard = await this.#send(jobId, signal);
            retry = 1;
          } catch (error) {
            signal.throwIfAborted();
            if (hasCode(error, "invalid-argument", "job-unknown")) throw error;
            // A forgotten printer registers again in `run`; printing goes on meanwhile.
            registration.lost(error);
            await sleep(backoffMs(retry++), signal);
          }
        }
      }
      this.#reports.delete(jobId);
    } catch (error) {
      // Given up, or switched off: the last status has been sent if it could be. A job that the backend will not hear of
      // stays held all the same, so that it is not offered again and again.
      if (!signal.aborted && error instanceof PlatenError && error.code !== "unavailable") onRefused(error);
    }
  }

  /** Reports the print as it stands now. Resolves to the sequence that was heard. */
  async #send(jobId: string, signal: AbortSignal): Promise<bigint> {
    const { printer, queue } = this.#options;
    const status = printer.print(jobId);
    if (!status) return 0n;
    const { cancelRequested } = await queue.reportPrint({ status }, this.#call(signal));
    if (cancelRequested) printer.cancel(jobId);
    return status.sequence;
  }

  #session(jobId: string): { jobId: string; printerId: string } {
    return { jobId, printerId: this.#options.printer.printerId };
  }

  #call(signal: AbortSignal) {
    const headers = { authorization: `Bearer ${this.#options.registration.printerKey}` };
    return { signal, timeoutMs: callTimeoutMs, headers };
  }
}

const refused = (session: Pick<SessionId, "jobId" | "printerId">, error: PlatenError) =>
  ({
    session,
    sequence: 1n,
    state: JobState.ABORTED,
    stateReasons: [JobStateReason.ABORTED_BY_SYSTEM],
    errorCode: error.code,
    message: error.message,
  }) satisfies Partial<Omit<PrintStatus, "session">> & { session: object };
