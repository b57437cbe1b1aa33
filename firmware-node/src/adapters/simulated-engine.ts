/** The engine model of hw/ behind the driver port: runs out of paper and ink, jams and fails; its sheets may be kept as PNG. */
import { type EngineModel, EngineStopped, type ModelEvent, type Trouble } from "@platen/hw";
import { PrinterStateReason } from "@platen/proto";
import {
  type EngineCapabilities,
  type EngineDriver,
  type EngineEvent,
  EngineFault,
  type JobStart,
  type PageStart,
  type PlanarBand,
} from "../ports/engine-driver.ts";
import { jobFolder, PngJob } from "./png-job.ts";

export interface SimulatedEngineOptions {
  /** Folder for the sheets as PNG; none are kept without one. */
  readonly root?: string | undefined;
  /** Somebody sees to whatever is wrong after so long; without it nobody does. */
  readonly clearAfterMs?: number | undefined;
}

const reasonOf: Readonly<Record<Trouble, PrinterStateReason>> = {
  "media-empty": PrinterStateReason.MEDIA_EMPTY,
  "media-jam": PrinterStateReason.MEDIA_JAM,
  "marker-supply-empty": PrinterStateReason.MARKER_SUPPLY_EMPTY,
  "cover-open": PrinterStateReason.COVER_OPEN,
  "output-area-full": PrinterStateReason.OUTPUT_AREA_FULL,
  "engine-fault": PrinterStateReason.ENGINE_FAULT,
};

const sentenceOf: Readonly<Record<Trouble, string>> = {
  "media-empty": "the paper tray is empty",
  "media-jam": "a sheet is jammed",
  "marker-supply-empty": "an ink has run out",
  "cover-open": "the cover is open",
  "output-area-full": "the output tray is full",
  "engine-fault": "the print head is out of order",
};

const sentences = (troubles: readonly Trouble[]): string =>
  troubles.map((one) => sentenceOf[one]).join(", and ");

export class SimulatedEngine implements EngineDriver {
  readonly capabilities: EngineCapabilities;
  readonly model: EngineModel;
  readonly #options: SimulatedEngineOptions;
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  readonly #mute: () => void;
  #clearing: NodeJS.Timeout | undefined;
  #jobId = "";
  #png: PngJob | undefined;
  #page: PageStart | undefined;

  constructor(model: EngineModel, capabilities: EngineCapabilities, options: SimulatedEngineOptions = {}) {
    this.model = model;
    this.capabilities = capabilities;
    this.#options = options;
    this.#mute = model.listen((event) => this.#hear(event));
  }

  outputLocation(jobId: string): string {
    return this.#options.root === undefined ? "" : jobFolder(this.#options.root, jobId);
  }

  async startJob(job: JobStart, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    this.#jobId = job.jobId;
    if (this.#options.root !== undefined) this.#png = await PngJob.open(this.#options.root, job.jobId);
    return Math.max(this.model.stackedOf(job.jobId), this.#png?.sheetsStacked ?? 0);
  }

  async startPage(page: PageStart, signal: AbortSignal): Promise<void> {
    await this.#drive(signal, () => this.model.startSide({ ...page, jobId: this.#jobId }));
    this.#page = page;
    await this.#png?.startPage(page);
  }

  async writeBand(band: PlanarBand, signal: AbortSignal): Promise<void> {
    await this.#drive(signal, () => this.model.print(band));
    await this.#png?.writeBand(band);
  }

  async endPage(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#png?.endPage();
    await this.#drive(signal, () => this.model.endSide());
    if (!this.#page?.lastOfSheet) return;
    const { sheetNumber } = this.#page;
    await this.#png?.stack(sheetNumber);
    // Told only now, so that who hears of a sheet finds its files.
    this.#tell({ kind: "sheet-stacked", jobId: this.#jobId, sheetNumber });
    this.#tell(this.#supplies());
  }

  async endJob(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#png = undefined;
  }

  async abort(): Promise<void> {
    this.model.throwOut();
    const png = this.#png;
    this.#png = undefined;
    await png?.discard().catch(() => {});
  }

  listen(listener: (event: EngineEvent) => void): () => void {
    const { troubles } = this.model;
    listener(troubles.length ? this.#stopped(troubles) : { kind: "ready" });
    listener(this.#supplies());
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#clearing);
    await this.abort();
    this.#mute();
  }

  /** Does one thing at the engine; when it stands still, the sheet on its way is lost. */
  async #drive(signal: AbortSignal, work: () => void): Promise<void> {
    signal.throwIfAborted();
    try {
      work();
    } catch (error) {
      if (!(error instanceof EngineStopped)) throw error;
      await this.#png?.discard();
      throw new EngineFault(
        error.troubles.map((trouble) => reasonOf[trouble]),
        sentences(error.troubles),
      );
    }
  }

  #hear(event: ModelEvent): void {
    switch (event.kind) {
      case "stopped":
        this.#tell(this.#stopped(event.troubles));
        this.#tell(this.#supplies());
        this.#callForHelp();
        break;
      case "sheet-stacked":
        break;
      case "ready":
        this.#tell(event);
        this.#tell(this.#supplies());
        break;
      case "cancel-pressed":
        this.#tell(event);
        break;
    }
  }

  #callForHelp(): void {
    const { clearAfterMs } = this.#options;
    if (clearAfterMs === undefined) return;
    clearTimeout(this.#clearing);
    this.#clearing = setTimeout(() => this.model.remedy(), clearAfterMs);
  }

  #stopped(troubles: readonly Trouble[]): EngineEvent {
    return {
      kind: "stopped",
      reasons: troubles.map((trouble) => reasonOf[trouble]),
      message: sentences(troubles),
    };
  }

  #supplies(): EngineEvent {
    const supplies = this.capabilities.colorants.map((colorant) => ({
      colorant,
      levelPercent: this.model.inkPercent(colorant),
    }));
    return { kind: "supplies", supplies };
  }

  #tell(event: EngineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
