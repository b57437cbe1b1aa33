/**
 * The simulated engine's works: takes the messages that the protocol delivers, prints them on the mechanical model at the
 * model's pace, and says how things stand. It keeps delivered messages until it has worked on them: that is its memory, and
 * what credit is about.
 */
import {
  type Capabilities,
  decodeMessage,
  frameCost,
  idleStatus,
  type JobMessage,
  type PageMessage,
  type PlainBand,
  type PrintAction,
  type PrintStream,
  type Refusal,
  type Sequenced,
  startPrintStream,
  type Status,
  takeMessage,
} from "../../protocol/index.ts";
import { type EngineModel, EngineStopped, type ModelEvent, type Trouble } from "../engine-model.ts";
import type { Clock } from "./clock.ts";

export interface Mechanics {
  /** From standing still to the first sheet, and again after a fault. */
  readonly warmUpMs: number;
  /** From the tray to the first row, and from the last row to the output tray. */
  readonly feedMs: number;
  readonly ejectMs: number;
  readonly rowsPerSecond: number;
}

/** No time for anything, for tests that are not about time. */
export const instantMechanics: Mechanics = { warmUpMs: 0, feedMs: 0, ejectMs: 0, rowsPerSecond: Infinity };

export interface DeviceListener {
  /** Delivered messages that cost so much are worked off. */
  done(cost: number): void;
  /** How things stand has changed. */
  status(status: Status): void;
}

const sentences: Readonly<Record<Trouble, string>> = {
  "media-empty": "Load paper.",
  "media-jam": "Take out the jammed sheet.",
  "marker-supply-empty": "Replace the empty ink.",
  "cover-open": "Close the cover.",
  "output-area-full": "Take the sheets from the output tray.",
  "engine-fault": "The print head is out of order.",
};

/** What an engine keeps where no power cut reaches it. Given to the one that starts next, it goes on with what it stacked. */
export interface EngineMemory {
  lastJob?: Pick<Status, "jobKey" | "sheetsStacked" | "stackedDigest">;
}

export class EngineDevice {
  readonly #model: EngineModel;
  readonly #clock: Clock;
  readonly #capabilities: Capabilities;
  readonly #mechanics: Mechanics;
  readonly #listener: DeviceListener;
  readonly #memory: EngineMemory;
  readonly #mute: () => void;
  readonly #queue: Sequenced[] = [];
  #stream: PrintStream = startPrintStream;
  #status: Status;
  /** A page that is collected before it is fed (`whole-page`). */
  #collected: PrintAction[] = [];
  #toPrint: PrintAction[] = [];
  #page: PageMessage | undefined;
  #sheetDigest = 0;
  #warm = false;
  #hostSilent = false;
  #cancelWait: (() => void) | undefined;
  #working = false;
  #jobName = "";
  #rowsFinal = 0;
  #starving = false;
  #starved = 0;

  constructor(
    model: EngineModel,
    clock: Clock,
    capabilities: Capabilities,
    mechanics: Mechanics,
    listener: DeviceListener,
    memory: EngineMemory,
  ) {
    this.#model = model;
    this.#clock = clock;
    this.#capabilities = capabilities;
    this.#mechanics = mechanics;
    this.#listener = listener;
    this.#memory = memory;
    this.#status = {
      ...idleStatus,
      state: model.troubles.length > 0 ? "stopped" : "idle",
      reasons: this.#reasons(),
      supplies: this.#supplies(),
      message: model.troubles.map((one) => sentences[one]).join(" "),
    };
    this.#mute = model.listen((event) => this.#hear(event));
  }

  get status(): Status {
    return this.#status;
  }

  /** What the host calls its last job. */
  get jobName(): string {
    return this.#jobName;
  }

  /** Rows of the side at work that no plane can add to any more. */
  get rowsFinal(): number {
    return this.#rowsFinal;
  }

  /** How often it stood with a sheet in the path and nothing to print, since the start. */
  get starved(): number {
    return this.#starved;
  }

  /** The engine loses its power: it does nothing more. Paper stays where it is. */
  stop(): void {
    this.#mute();
    this.#cancelWait?.();
    this.#queue.length = 0;
  }

  deliver(frame: Sequenced): void {
    this.#queue.push(frame);
    this.#work();
  }

  /** Throws out all that is not stacked. */
  reset(): void {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    this.#queue.length = 0;
    this.#collected = [];
    this.#toPrint = [];
    this.#page = undefined;
    this.#stream = startPrintStream;
    this.#hostSilent = false;
    this.#model.throwOut();
    const state = this.#model.troubles.length > 0 ? "stopped" : "idle";
    this.#tell({ state, refusal: "none", refusedNumber: 0, sheet: 0, rowsPrinted: 0 });
  }

  setHostSilent(silent: boolean): void {
    this.#hostSilent = silent;
    this.#work();
  }

  #tell(change: Partial<Status>): void {
    this.#status = { ...this.#status, ...change };
    this.#listener.status(this.#status);
  }

  #supplies(): Status["supplies"] {
    return this.#model.inks.map((colorant) => ({ colorant, levelPercent: this.#model.inkPercent(colorant) }));
  }

  /** A supply that is low is told of, and printing goes on. */
  #reasons(): Status["reasons"] {
    const { troubles, isInkLow } = this.#model;
    return isInkLow ? [...troubles, "marker-supply-low"] : troubles;
  }

  #hear(event: ModelEvent): void {
    switch (event.kind) {
      case "stopped": {
        this.#warm = false;
        const message = event.troubles.map((one) => sentences[one]).join(" ");
        this.#tell({ state: "stopped", reasons: this.#reasons(), sheet: 0, rowsPrinted: 0, message });
        if (this.#stream.job || this.#queue.length > 0 || this.#toPrint.length > 0)
          this.#refuse("stopped", 0);
        break;
      }
      case "ready":
        this.#tell({ state: "idle", reasons: this.#reasons(), supplies: this.#supplies(), message: "" });
        break;
      case "cancel-pressed":
        this.#tell({ cancelPresses: (this.#status.cancelPresses + 1) & 0xffff });
        break;
      case "sheet-stacked":
        this.#tell({
          ...this.#remember(this.#status.jobKey, event.sheetNumber, this.#sheetDigest),
          sheet: 0,
          rowsPrinted: 0,
          reasons: this.#reasons(),
          supplies: this.#supplies(),
        });
        break;
    }
  }

  #refuse(refusal: Refusal, number: number): void {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    this.#queue.length = 0;
    this.#collected = [];
    this.#toPrint = [];
    this.#model.throwOut();
    if (this.#status.refusal === "none")
      this.#tell({ refusal, refusedNumber: number, sheet: 0, rowsPrinted: 0 });
  }

  #remember(jobKey: string, sheetsStacked: number, stackedDigest: number): Partial<Status> {
    const lastJob = { jobKey, sheetsStacked, stackedDigest };
    this.#memory.lastJob = lastJob;
    return lastJob;
  }

  /** What it remembers of this very job. */
  #knownOf({ jobKey }: JobMessage): EngineMemory["lastJob"] {
    return this.#memory.lastJob?.jobKey === jobKey ? this.#memory.lastJob : undefined;
  }

  #stackedOf = (job: JobMessage): number =>
    Math.max(job.sheetsStacked, this.#knownOf(job)?.sheetsStacked ?? 0);

  /** Works until it must wait, for time or for messages. Not re-entered: what it brings about may call back. */
  #work(): void {
    if (this.#working) return;
    this.#working = true;
    while (this.#status.refusal === "none" && (this.#printNext() || this.#takeNext()));
    this.#working = false;
    const starving = this.#page !== undefined && !this.#cancelWait && this.#status.refusal === "none";
    if (starving && !this.#starving) this.#starved++;
    this.#starving = starving;
  }

  /** False when there is nothing to print now. */
  #printNext(): boolean {
    const action = this.#toPrint[0];
    if (!action || this.#cancelWait) return false;
    if (action.kind === "page" && action.page.side === "front" && this.#hostSilent) return false;
    this.#toPrint.shift();
    this.#print(action);
    return true;
  }

  /** False when there is no message, or no room for what it says. */
  #takeNext(): boolean {
    const standing = this.#toPrint.length === 0 && !this.#cancelWait;
    const pagesAhead = this.#toPrint.filter((action) => action.kind === "page-end").length;
    const ahead = this.#capabilities.feed === "whole-page" && this.#stream.job && pagesAhead < 2;
    const frame = standing || ahead ? this.#queue.shift() : undefined;
    if (!frame) return false;
    this.#take(frame);
    this.#listener.done(frameCost(frame.payload.length));
    return true;
  }

  #take(frame: Sequenced): void {
    if (this.#model.troubles.length > 0) {
      this.#refuse("stopped", frame.number);
      return;
    }
    const message = decodeMessage(frame.type, frame.payload);
    const step = takeMessage(this.#stream, message, this.#capabilities, this.#stackedOf);
    if ("refusal" in step) {
      this.#refuse(step.refusal, frame.number);
      return;
    }
    this.#stream = step.stream;
    if (!step.action) return;
    if (this.#capabilities.feed === "pauses") {
      this.#toPrint.push(step.action);
      return;
    }
    this.#collected.push(step.action);
    if (this.#stream.page) return;
    this.#toPrint.push(...this.#collected);
    this.#collected = [];
  }

  #wait(forMs: number, then: () => void): void {
    if (forMs <= 0) {
      then();
      return;
    }
    const cancel = this.#clock.after(forMs, () => {
      this.#cancelWait = undefined;
      then();
      this.#work();
    });
    this.#cancelWait = cancel;
  }

  /** Does to the model what may find it standing still; the model tells so itself (`#hear`). */
  #mechanically(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof EngineStopped)) throw error;
      this.#refuse("stopped", 0);
    }
  }

  #print(action: PrintAction): void {
    const { feedMs, warmUpMs, ejectMs } = this.#mechanics;
    switch (action.kind) {
      case "job": {
        const { job } = action;
        this.#jobName = job.name;
        const digest = this.#knownOf(job)?.stackedDigest ?? 0;
        this.#tell(this.#remember(job.jobKey, this.#stackedOf(job), digest));
        break;
      }
      case "page": {
        const delayMs = feedMs + (this.#warm ? 0 : warmUpMs);
        this.#warm = true;
        this.#wait(delayMs, () => this.#startSide(action.page));
        break;
      }
      case "band":
        this.#printBand(action.band);
        break;
      case "page-end": {
        const rowsMs = this.#rowsMs(action.page.heightPx);
        this.#wait(rowsMs + (action.page.lastOfSheet ? ejectMs : 0), () => this.#endSide(action.digest));
        break;
      }
      case "job-end":
        this.#tell({ state: "idle" });
        break;
    }
  }

  #startSide(page: PageMessage): void {
    this.#page = page;
    this.#rowsFinal = 0;
    this.#mechanically(() => {
      this.#model.startSide({ ...page, jobId: this.#status.jobKey, sheetNumber: page.sheet });
      this.#tell({ state: "processing", sheet: page.sheet, rowsPrinted: 0 });
    });
  }

  /** Time for the rows down to `endPx`, those on the paper not counted. */
  #rowsMs(endPx: number): number {
    return (Math.max(0, endPx - this.#status.rowsPrinted) * 1000) / this.#mechanics.rowsPerSecond;
  }

  #printBand(band: PlainBand): void {
    const endPx = band.yPx + band.rowsPx;
    this.#wait(this.#rowsMs(endPx), () => {
      const strideBytes = Math.ceil((this.#page?.widthPx ?? 0) / 8);
      this.#rowsFinal = band.yPx;
      this.#mechanically(() => {
        this.#model.print({ yPx: band.yPx, rowsPx: band.rowsPx, strideBytes, planes: [band] });
        // Told with the next regular status: rows are many.
        this.#status = { ...this.#status, rowsPrinted: endPx };
      });
    });
  }

  #endSide(digest: number): void {
    this.#sheetDigest = digest;
    this.#page = undefined;
    this.#mechanically(() => this.#model.endSide());
  }
}
