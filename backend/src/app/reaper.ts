/** Removes what crashed jobs left: sessions without a job that goes on, and data without a session. */
import { setTimeout as delay } from "node:timers/promises";
import { hasCode, type PlatenError, toPlatenError } from "@platen/proto";
import { parseJobId, parsePrinterId } from "../domain/ids.ts";
import { isEnded } from "../domain/job.ts";
import type { BlobStore } from "../ports/blob.ts";
import type { Documents } from "./documents.ts";
import type { Executors } from "./instructors.ts";
import type { Intake } from "./intake.ts";
import { requestIds } from "./job-run.ts";
import type { Jobs } from "./jobs.ts";
import type { Records } from "./records.ts";
import { deleteResult, type SessionStores } from "./session-stores.ts";

export interface ReaperDependencies {
  readonly stores: SessionStores;
  readonly jobs: Jobs;
  readonly intake: Pick<Intake, "recover">;
  readonly documents: Pick<Documents, "sweep">;
  readonly executors: Executors;
  readonly now: () => number;
  /** What is younger is left alone. */
  readonly graceMs: number;
  readonly log: (error: PlatenError) => void;
}

export class Reaper {
  readonly #deps: ReaperDependencies;
  constructor(dependencies: ReaperDependencies) {
    this.#deps = dependencies;
  }

  /** Looks now and then every `intervalMs`, until `signal` aborts. */
  async run(intervalMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.reap(signal).catch((error: unknown) => {
        if (!signal.aborted && !hasCode(error, "unavailable")) this.#deps.log(toPlatenError(error));
      });
      await delay(intervalMs, undefined, { signal }).catch(() => {});
    }
  }

  async reap(signal: AbortSignal): Promise<void> {
    const { intake, documents, stores, now } = this.#deps;
    await intake.recover();
    await documents.sweep(now());
    await this.#sessions(signal);
    await this.#results();
    await this.#pages();
    await this.#blobs(stores.sources, stores.sessions);
    await this.#blobs(stores.converted, stores.results);
  }

  /** S112 for sessions whose job has ended or is forgotten; a job that goes on is its controller's. */
  async #sessions(signal: AbortSignal): Promise<void> {
    const { stores, jobs, executors } = this.#deps;
    for await (const { value } of stores.sessions.all()) {
      if (this.#isYoung(value.createdMs)) continue;
      const session = { jobId: parseJobId(value.jobId), printerId: parsePrinterId(value.printerId) };
      const job = await jobs.get(session.jobId);
      if (job && !isEnded(job)) continue;
      const requestId = requestIds(session.jobId).complete;
      await executors.complete({ requestId, session }, { signal }).catch((error: unknown) => {
        if (!hasCode(error, "session-missing")) throw error;
      });
    }
  }

  /** Results whose session is gone: an executor wrote them after S112, or the session expired. */
  async #results(): Promise<void> {
    const { stores } = this.#deps;
    for await (const { key, value } of stores.results.all()) {
      if (!this.#isYoung(value.createdMs) && !(await stores.sessions.get(value.dbIndex)))
        await deleteResult(stores, key);
    }
  }

  /** Page records whose result is gone, because whoever deleted it died half-way. They come after it, so none is too young. */
  async #pages(): Promise<void> {
    const { pages, results } = this.#deps.stores;
    let owner = "";
    let isGone = false;
    for await (const { key } of pages.all()) {
      const identificationId = key.split(".")[0]!;
      if (identificationId !== owner) {
        owner = identificationId;
        isGone = !(await results.get(owner));
      }
      if (isGone) await pages.delete(key);
    }
  }

  /** Blobs whose record is gone; the first segment of a blob's key is the record's key. */
  async #blobs<T>(blobs: BlobStore, records: Records<T>): Promise<void> {
    for await (const { key, modifiedMs } of blobs.list()) {
      const owner = key.split("/")[0]!;
      if (!this.#isYoung(modifiedMs) && !(await records.get(owner))) await blobs.delete(key);
    }
  }

  #isYoung(sinceMs: number): boolean {
    return this.#deps.now() - sinceMs < this.#deps.graceMs;
  }
}
