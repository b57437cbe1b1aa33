/** S1404 to S1415: one print, from its metafile to its one end. */
import {
  hasCode,
  JobErrorAction,
  JobState,
  JobStateReason,
  type PrinterStateReason,
  toPlatenError,
} from "@platen/proto";
import type { InkTables } from "../color/ink-choice.ts";
import type { BandDecoder } from "../ports/band-decoder.ts";
import type { DotMaker } from "../ports/dot-maker.ts";
import { type Colorant, type EngineDriver, type EngineEvent, EngineFault } from "../ports/engine-driver.ts";
import type { ResultStore } from "../ports/result-store.ts";
import { ahead } from "./ahead.ts";
import { sleep } from "./backoff.ts";
import { impressions, isMark } from "./impressions.ts";
import { checkEngine, type PrintPlan, readMetafile } from "./metafile.ts";
import { markerSupplies } from "./marker-supplies.ts";
import { fetchMetafile } from "./page-source.ts";
import { pixelBands } from "./pixel-bands.ts";
import type { PrintRecord } from "./print-record.ts";
import { type Step, strips } from "./strips.ts";

export interface RunnerDependencies {
  readonly driver: EngineDriver;
  readonly store: ResultStore;
  readonly decoder: BandDecoder;
  readonly dotMaker: DotMaker;
  readonly inkTables: Pick<InkTables, "tableFor">;
  /** How long a print waits for an engine fault to clear. */
  readonly faultTimeoutMs: number;
  /** How long nothing may come from the result store. */
  readonly patienceMs: number;
}

/** Ends a print from outside: abort its signal with one of these. */
export class PrintStop extends Error {
  override readonly name = "PrintStop";
  readonly kind: "user" | "device" | "shutdown";
  constructor(kind: PrintStop["kind"]) {
    super(`stopped by ${kind}`);
    this.kind = kind;
  }
}

/** An engine fault ends the print: it outlasted the printer's patience, or job-error-action says so. */
class FaultEnd extends Error {
  readonly reasons: readonly PrinterStateReason[];
  constructor(reasons: readonly PrinterStateReason[], message: string) {
    super(message);
    this.reasons = reasons;
  }
}

/** Fetched bands, and strips of dots, that wait for the next stage: the backpressure that bounds memory. */
const waiting = 1;

/**
 * Runs the print of `record` until its end state, or until it is given up for a shutdown. Never throws. The engine is left
 * ready for the next job.
 */
export async function runPrint(
  record: PrintRecord,
  dependencies: RunnerDependencies,
  signal: AbortSignal,
): Promise<void> {
  await new PrintRun(record, dependencies, signal).toEnd();
}

class PrintRun {
  readonly #record: PrintRecord;
  readonly #deps: RunnerDependencies;
  readonly #device = new AbortController();
  /** Aborts with a PrintStop. */
  readonly #stop: AbortSignal;
  #plan: PrintPlan | undefined;
  #sheetsStacked: number;
  /** Resolves when the engine is ready; undefined while it is. */
  #untilReady: PromiseWithResolvers<void> | undefined;
  #waiting = false;

  constructor(record: PrintRecord, dependencies: RunnerDependencies, signal: AbortSignal) {
    this.#record = record;
    this.#deps = dependencies;
    this.#stop = AbortSignal.any([signal, this.#device.signal]);
    this.#sheetsStacked = record.instruction.mediaSheetsCompleted;
  }

  async toEnd(): Promise<void> {
    const { driver } = this.#deps;
    const mute = driver.listen((event) => this.#hear(event));
    try {
      await this.#print();
      this.#record.update({
        state: JobState.COMPLETED,
        stateReasons: [JobStateReason.JOB_COMPLETED_SUCCESSFULLY],
        message: `printed on ${this.#sheetsStacked} ${this.#sheetsStacked === 1 ? "sheet" : "sheets"}`,
      }); // S1413
    } catch (error) {
      await driver.abort();
      this.#endWith(this.#stop.aborted ? this.#stop.reason : error);
    } finally {
      mute();
    }
  }

  async #print(): Promise<void> {
    const { session, instruction } = this.#record;
    const { driver, store, patienceMs } = this.#deps;
    this.#record.update({
      state: JobState.PROCESSING,
      stateReasons: [JobStateReason.JOB_PRINTING],
      message: "fetching the metafile",
    });
    const source = { store, token: instruction.token, patienceMs, signal: this.#stop };
    const json = await fetchMetafile(source, instruction.metafileUrl); // S1404
    const plan = readMetafile(json, session);
    this.#plan = plan;
    const job = { jobId: session.jobId, jobName: plan.metafile.jobName };
    const remembered = await this.#throughFaults(() => driver.startJob(job, this.#stop));
    // Not before: an engine that was not there has only now said what it can do.
    checkEngine(plan, driver.capabilities);
    this.#stacked(Math.max(remembered, this.#sheetsStacked));
    await this.#throughFaults(async () => {
      await this.#printSheets(plan);
      await driver.endJob(this.#stop);
    });
  }

  /** Does `work`, and does it again each time the engine has stopped in the middle of it and is ready again. */
  async #throughFaults<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (this.#stop.aborted || !(error instanceof EngineFault)) throw error;
        await this.#waitOutFault(error);
      }
    }
  }

  /** S1411: suspends the print until the engine is ready. Throws FaultEnd when it is to be canceled (S1414). */
  async #waitOutFault(fault: EngineFault): Promise<void> {
    this.#tellStopped(fault.reasons, fault.message);
    if (this.#record.instruction.jobErrorAction === JobErrorAction.CANCEL_JOB) {
      throw new FaultEnd(fault.reasons, `canceled: ${fault.message}`);
    }
    const over = new AbortController();
    const timeUp = this.#faultTimeUp(AbortSignal.any([this.#stop, over.signal]));
    this.#waiting = true;
    try {
      await Promise.race([this.#untilReady?.promise, timeUp]);
    } finally {
      this.#waiting = false;
      over.abort();
    }
    this.#record.update({
      state: JobState.PROCESSING,
      stateReasons: [JobStateReason.JOB_PRINTING],
      printerStateReasons: [],
      message: `going on with sheet ${this.#sheetsStacked + 1}`,
    });
  }

  async #faultTimeUp(signal: AbortSignal): Promise<never> {
    await sleep(this.#deps.faultTimeoutMs, signal);
    const { printerStateReasons, message } = this.#record.status;
    const seconds = this.#deps.faultTimeoutMs / 1000;
    throw new FaultEnd(printerStateReasons, `canceled: ${message}, and still so after ${seconds} s`);
  }

  /**
   * Prints the sheets that are not stacked yet. Fetching, decoding, halftoning, and the engine are stages that work at the
   * same time, each at most a step or two ahead of the next.
   */
  async #printSheets(plan: PrintPlan): Promise<void> {
    const { driver, store, decoder, dotMaker, inkTables, patienceMs } = this.#deps;
    const colorants: readonly Colorant[] = plan.monochrome ? ["black"] : driver.capabilities.colorants;
    const inks = colorants.length === 1 ? "k" : "cmyk";
    const look = { halftone: plan.halftone, inks, table: await inkTables.tableFor(plan.inks) } as const;
    const scope = new AbortController();
    const stop = () => scope.abort();
    const signal = AbortSignal.any([this.#stop, scope.signal]);
    const source = { store, token: this.#record.instruction.token, patienceMs, signal };
    const queue = { count: waiting, isFree: isMark, stop };
    const fetched = ahead(impressions(plan, this.#sheetsStacked + 1, colorants, source), queue); // S1406
    const dotted = strips(pixelBands(fetched, decoder, stop), dotMaker, look, signal); // S1407 to S1409
    const drop = (step: Step) => step.kind === "strip" && step.dots[Symbol.dispose]();
    for await (const step of ahead(dotted, { ...queue, drop })) {
      switch (step.kind) {
        case "page":
          await driver.startPage(step.start, this.#stop);
          break;
        case "strip": {
          using _dots = step.dots;
          await driver.writeBand(step.strip, this.#stop); // S1410
          break;
        }
        case "page-end":
          await driver.endPage(this.#stop);
          break;
      }
    }
  }

  #hear(event: EngineEvent): void {
    switch (event.kind) {
      case "stopped":
        this.#untilReady ??= Promise.withResolvers();
        if (this.#waiting) this.#tellStopped(event.reasons, event.message);
        break;
      case "ready":
        this.#untilReady?.resolve();
        this.#untilReady = undefined;
        break;
      case "sheet-stacked":
        if (event.jobId === this.#record.session.jobId) this.#stacked(event.sheetNumber);
        break;
      case "cancel-pressed":
        this.#device.abort(new PrintStop("device"));
        break;
      case "supplies":
        this.#record.update({ markerSupplies: markerSupplies(event.supplies) });
        break;
      case "warnings":
        this.#record.update({ printerWarnings: [...event.reasons] });
        break;
      case "capabilities":
        break;
    }
  }

  #stacked(sheets: number): void {
    const plan = this.#plan!.plan;
    this.#sheetsStacked = Math.min(sheets, plan.sheets);
    this.#record.update({
      impressionsCompleted: plan.impressions(this.#sheetsStacked),
      mediaSheetsCompleted: this.#sheetsStacked,
      message: `${this.#sheetsStacked} of ${plan.sheets} sheets printed`,
    });
  }

  #tellStopped(reasons: readonly PrinterStateReason[], message: string): void {
    this.#record.update({
      state: JobState.PROCESSING_STOPPED,
      stateReasons: [JobStateReason.PRINTER_STOPPED],
      printerStateReasons: [...reasons],
      message,
    });
  }

  #endWith(cause: unknown): void {
    const record = this.#record;
    if (cause instanceof FaultEnd) {
      return record.update({
        state: JobState.CANCELED,
        stateReasons: [JobStateReason.CANCELED_BY_ENGINE_FAULT],
        printerStateReasons: [...cause.reasons],
        errorCode: "engine-fault",
        message: cause.message,
      }); // S1411, S1414
    }
    if (cause instanceof PrintStop) {
      switch (cause.kind) {
        case "user":
          return record.cancel(JobStateReason.JOB_CANCELED_BY_USER, "canceled by the user");
        case "device":
          return record.cancel(JobStateReason.JOB_CANCELED_AT_DEVICE, "canceled at the printer");
        case "shutdown":
          this.#tellStopped([], "the printer is switched off; the job goes on when it is back");
          return record.giveUp();
      }
    }
    const error = toPlatenError(cause);
    const access = hasCode(error, "metafile-unavailable", "page-unavailable");
    record.update({
      state: JobState.ABORTED,
      stateReasons: [
        JobStateReason.ABORTED_BY_SYSTEM,
        ...(access ? [JobStateReason.DOCUMENT_ACCESS_ERROR] : []),
      ],
      errorCode: error.code,
      message: error.message,
    }); // S1405, S1415
  }
}
