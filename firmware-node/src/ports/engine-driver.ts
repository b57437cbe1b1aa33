/**
 * The engine driver port: what the controller tells a print engine, whatever lies between them (a PNG sink, a simulated
 * engine, a serial line). The order of calls is PAPPL's: start job, start page, write band …, end page …, end job.
 * One contract suite (`engine-driver.contract.ts`) runs on every driver.
 */
import type { PrinterStateReason } from "@platen/proto";

/** In the order of the planes. */
export type Colorant = "cyan" | "magenta" | "yellow" | "black";

export interface EngineCapabilities {
  readonly makeAndModel: string;
  /** The inks it has: black alone, or cyan, magenta, yellow, black. */
  readonly colorants: readonly Colorant[];
  /** Resolutions, dots an inch, ascending. */
  readonly resolutionsDpi: readonly number[];
  readonly duplex: boolean;
}

export interface JobStart {
  readonly jobId: string;
  readonly jobName: string;
}

export interface PageStart {
  /** Impressions of the job, all copies, counted from 1. */
  readonly impressionNumber: number;
  /** Sheets of the job, all copies, counted from 1. */
  readonly sheetNumber: number;
  readonly side: "front" | "back";
  /** Whether the sheet is done with this side. */
  readonly lastOfSheet: boolean;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly resolutionDpi: number;
  /** The planes that the page's bands may hold. */
  readonly colorants: readonly Colorant[];
  /** PWG 5101.1 name. */
  readonly media: string;
  readonly mediaWidthUm: number;
  readonly mediaHeightUm: number;
}

/** One plane of a band: one bit a pixel, most significant bit left, 1 = ink, rows of `strideBytes` bytes. */
export interface Plane {
  readonly colorant: Colorant;
  /** `strideBytes` × `rowsPx` bytes; bits beyond the width are 0. Valid only until the call that got it resolves. */
  readonly bits: Uint8Array;
}

/** A strip of a page. Bands come from top to bottom, without gap or overlap, and cover the page. */
export interface PlanarBand {
  readonly yPx: number;
  readonly rowsPx: number;
  /** ceil(widthPx / 8). */
  readonly strideBytes: number;
  /** A colorant that is absent has no dot in this band; a blank band has no plane. */
  readonly planes: readonly Plane[];
}

export interface Supply {
  readonly colorant: Colorant;
  /** 0 to 100, undefined when the engine cannot tell. */
  readonly levelPercent: number | undefined;
}

export type EngineEvent =
  /** The engine stopped: operations reject with EngineFault until `ready`. */
  | { readonly kind: "stopped"; readonly reasons: readonly PrinterStateReason[]; readonly message: string }
  /** The engine can print. */
  | { readonly kind: "ready" }
  /** The engine was not there and is now, or is another: `capabilities` are these from now on. */
  | { readonly kind: "capabilities"; readonly capabilities: EngineCapabilities }
  /** A sheet lies in the output tray, for good: it is never printed again. */
  | { readonly kind: "sheet-stacked"; readonly jobId: string; readonly sheetNumber: number }
  | { readonly kind: "supplies"; readonly supplies: readonly Supply[] }
  /** What the engine says that does not keep it from printing; each such list replaces the one before, which was empty at first. */
  | { readonly kind: "warnings"; readonly reasons: readonly PrinterStateReason[] }
  /** Somebody pressed cancel on the engine (S1411). */
  | { readonly kind: "cancel-pressed" };

/**
 * An operation failed because the engine stopped. The job stays open and its sheets that are not stacked are lost: once the
 * engine is ready, the job goes on with `startPage` of the first of them.
 */
export class EngineFault extends Error {
  override readonly name = "EngineFault";
  readonly reasons: readonly PrinterStateReason[];
  constructor(reasons: readonly PrinterStateReason[], message: string) {
    super(message);
    this.reasons = reasons;
  }
}

/**
 * One job at a time. Every operation waits for room in the engine (that is the backpressure), rejects with EngineFault when
 * the engine stops, and with the signal's reason when `signal` aborts. What an operation brings about is told to the
 * listeners before it settles, so that nobody who has seen it fail can take a stacked sheet for a lost one.
 */
export interface EngineDriver extends AsyncDisposable {
  /** The same until `capabilities` is told; what is assumed while no engine has answered. */
  readonly capabilities: EngineCapabilities;
  /** Where sheets are left, for people; empty when they are of paper. */
  outputLocation(jobId: string): string;
  /**
   * Begins a job. Resolves to the sheets of it that are stacked already: 0, or more when controller or engine restarted in
   * the middle of it and the driver remembers; the job goes on after them.
   */
  startJob(job: JobStart, signal: AbortSignal): Promise<number>;
  startPage(page: PageStart, signal: AbortSignal): Promise<void>;
  writeBand(band: PlanarBand, signal: AbortSignal): Promise<void>;
  /** The page is whole and the engine has it. Its sheet may be stacked later: an engine takes pages ahead. */
  endPage(signal: AbortSignal): Promise<void>;
  /** Resolves when the last sheet is stacked. */
  endJob(signal: AbortSignal): Promise<void>;
  /** Gives up the page and the job at once; a sheet in the engine is thrown out. Never rejects, also when the engine is gone. */
  abort(): Promise<void>;
  /**
   * Tells the listener of the engine's state (`ready` or `stopped`), its supplies, and its warnings if there are any, before it
   * returns, and then of all that happens, in order. Call the result to stop listening.
   */
  listen(listener: (event: EngineEvent) => void): () => void;
}
