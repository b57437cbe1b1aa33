/** An engine whose sheets are PNG files (png-job.ts). It never stops. */
import { resolve } from "node:path";
import type {
  EngineCapabilities,
  EngineDriver,
  EngineEvent,
  JobStart,
  PageStart,
  PlanarBand,
} from "../ports/engine-driver.ts";
import { jobFolder, PngJob } from "./png-job.ts";

export class PngSink implements EngineDriver {
  readonly capabilities: EngineCapabilities;
  readonly #root: string;
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  #job: PngJob | undefined;
  #jobId = "";
  #page: PageStart | undefined;

  /** Jobs get a folder each in `root`. */
  constructor(root: string, capabilities: EngineCapabilities) {
    this.#root = resolve(root);
    this.capabilities = capabilities;
  }

  outputLocation(jobId: string): string {
    return jobFolder(this.#root, jobId);
  }

  async startJob(job: JobStart, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    this.#job = await PngJob.open(this.#root, job.jobId);
    this.#jobId = job.jobId;
    return this.#job.sheetsStacked;
  }

  async startPage(page: PageStart, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#page = page;
    await this.#job?.startPage(page);
  }

  async writeBand(band: PlanarBand, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#job?.writeBand(band);
  }

  async endPage(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#job?.endPage();
    if (!this.#page?.lastOfSheet) return;
    const { sheetNumber } = this.#page;
    await this.#job?.stack(sheetNumber);
    for (const listener of this.#listeners)
      listener({ kind: "sheet-stacked", jobId: this.#jobId, sheetNumber });
  }

  async endJob(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#job = undefined;
  }

  async abort(): Promise<void> {
    const job = this.#job;
    this.#job = undefined;
    // A folder that has gone, or a disk that is full, is no reason to keep the job from its end.
    await job?.abandon().catch(() => {});
  }

  listen(listener: (event: EngineEvent) => void): () => void {
    listener({ kind: "ready" });
    const supplies = this.capabilities.colorants.map((colorant) => ({ colorant, levelPercent: undefined }));
    listener({ kind: "supplies", supplies });
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }
}
