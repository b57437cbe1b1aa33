/**
 * What lies between the driver's operations and the link: which engine is there, what of the job it has, and why nothing can
 * be printed. Cuts that are short pass unnoticed: the link resumes in mid-page. After a stop, a long silence or a restart of the
 * engine what is left in it is thrown out, and the job goes on, under a new session, with the first sheet that is not stacked.
 */
import type { HostLink } from "@platen/hw/link";
import type { Capabilities, Message, Status } from "@platen/hw/protocol";
import { PlatenError, type PrinterStateReason, toPlatenError } from "@platen/proto";
import type { EngineCapabilities, EngineEvent, EngineFault } from "../ports/engine-driver.ts";
import { connecting, faultOf, offline, sameFault, warningsOf } from "./serial-faults.ts";
import type { Journal } from "./serial-journal.ts";
import { EnginePresence, type PresenceOptions } from "./serial-presence.ts";

export interface SessionOptions extends PresenceOptions {
  readonly journal: Journal;
}

/** The job at the engine. */
export interface OpenJob {
  readonly jobId: string;
  readonly jobKey: string;
  readonly name: string;
  sheetsStacked: number;
  /** The engine knows of the job in this session. */
  announced: boolean;
  /** The last sheet whose last side was sent. */
  lastSheet: number;
  /** Refusals since a sheet was stacked. */
  refusals: number;
}

/** How long an abort waits for the engine's word. */
const abortPatienceMs = 3000;
/** Sheets that an engine may refuse one after the other before the job fails. */
const refusalsMax = 3;

/** As the driver port has them. */
export const portCapabilities = ({
  makeAndModel,
  colorants,
  resolutionsDpi,
  duplex,
}: EngineCapabilities): EngineCapabilities => ({ makeAndModel, colorants, resolutionsDpi, duplex });

export class SerialSession implements AsyncDisposable {
  readonly #presence: EnginePresence;
  readonly #link: HostLink;
  readonly #journal: Journal;
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  /** Why nothing can be printed now. */
  #fault: EngineFault | undefined = connecting("");
  /** Work in the engine was lost, and no operation has said so yet. */
  #lost: EngineFault | undefined;
  /** The job cannot go on at all. */
  #hopeless: PlatenError | undefined;
  /** What the session holds is being thrown out; nothing may be sent before. */
  #void = false;
  #engine: Capabilities | undefined;
  #job: OpenJob | undefined;
  #cancelPresses: number | undefined;
  #supplies: Status["supplies"] = [];
  #warnings: readonly PrinterStateReason[] = [];

  constructor(options: SessionOptions) {
    this.#journal = options.journal;
    this.#presence = new EnginePresence(options, {
      up: (resumed, engine) => this.#cameUp(resumed, engine),
      absent: (fault) => this.#fail(fault),
      status: (status) => this.#takeStatus(status),
    });
    this.#link = this.#presence.link;
    this.#presence.start();
  }

  /** What the newest engine says of itself; undefined while none has answered. */
  get engine(): Capabilities | undefined {
    return this.#engine;
  }

  /** The job that was opened and has not been closed. */
  get job(): OpenJob {
    if (!this.#job) throw new Error("no job has been started");
    return this.#job;
  }

  /** The payload that messages should have now. */
  get payloadBytes(): number {
    return this.#link.payloadBytes;
  }

  /** See EnginePresence. */
  answered(timeoutMs: number): Promise<void> {
    return this.#presence.answered(timeoutMs);
  }

  /** Begins the job, and forgets the one before. */
  openJob(jobId: string, jobKey: string, name: string): OpenJob {
    this.#lost = undefined;
    this.#hopeless = undefined;
    const sheetsStacked = this.#journal.stackedOf(jobKey);
    return (this.#job = { jobId, jobKey, name, sheetsStacked, announced: false, lastSheet: 0, refusals: 0 });
  }

  closeJob(): void {
    this.#job = undefined;
  }

  /** Tells the engine of the job, once a session, and learns what it has stacked. Rejects as `until`. */
  async announce(signal: AbortSignal): Promise<void> {
    const { job } = this;
    await this.until(() => this.#isClear(), signal);
    if (job.announced) return;
    const { jobKey, name, sheetsStacked } = job;
    this.send({ kind: "job", jobKey, sheetsStacked, name });
    job.announced = true;
    await this.until(() => this.#link.isDelivered && this.#link.status?.jobKey === jobKey, signal);
  }

  /** Only when `room` has resolved, and nothing else been waited for since. */
  send(message: Message): void {
    this.#link.send(message);
  }

  /** Waits until the engine takes more. Rejects as `until`. */
  room(signal: AbortSignal): Promise<void> {
    return this.until(() => this.#isClear() && !this.#link.isHeldUp, signal);
  }

  /** Waits until the engine has all that was sent, and `isSo`. Rejects as `until`. */
  delivered(signal: AbortSignal, isSo: () => boolean = () => true): Promise<void> {
    return this.until(() => this.#link.isDelivered && isSo(), signal);
  }

  /** Waits until it is so; rejects with EngineFault when the engine stops, or did since the last operation. */
  async until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
    await this.#link.until(() => {
      if (this.#hopeless) throw this.#hopeless;
      const fault = this.#lost ?? this.#fault;
      this.#lost = undefined;
      if (fault) throw fault;
      return isSo() ? true : undefined;
    }, signal);
  }

  /** Gives up the job and throws out what the engine has of it. Resolves when the engine has said so, or is too slow to. */
  async abort(): Promise<void> {
    this.#job = undefined;
    this.#throwOut();
    const patience = new AbortController();
    const cancel = this.#presence.after(abortPatienceMs, () => patience.abort());
    await this.#link
      .until(() => (this.#link.isUp && !this.#void ? true : undefined), patience.signal)
      .catch(() => {});
    cancel();
  }

  /** See EngineDriver. */
  listen(listener: (event: EngineEvent) => void): () => void {
    listener(this.#fault ? stopped(this.#fault) : { kind: "ready" });
    listener({ kind: "supplies", supplies: this.#supplies });
    if (this.#warnings.length > 0) listener({ kind: "warnings", reasons: this.#warnings });
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#job && this.#link.isUp) await this.abort();
    this.#listeners.clear();
    await this.#presence[Symbol.asyncDispose]();
  }

  /** The link is up, in a session that holds nothing void, and the engine has said how it stands. */
  #isClear(): boolean {
    return this.#link.isUp && !this.#void && this.#link.status !== undefined;
  }

  #tell(event: EngineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #cameUp(resumed: boolean, engine: Capabilities): void {
    if (resumed) return;
    this.#takeEngine(engine);
    // A session with nothing in it: by our own abort, or because the engine restarted and lost the one before.
    if (!this.#void && this.#job?.announced) this.#setFault(offline("the engine restarted"));
    this.#void = false;
    if (this.#job) this.#job.announced = false;
  }

  /** The first engine, or another than before. */
  #takeEngine(engine: Capabilities): void {
    const before = JSON.stringify(this.#engine);
    this.#engine = engine;
    if (JSON.stringify(engine) === before) return;
    this.#tell({ kind: "capabilities", capabilities: portCapabilities(engine) });
  }

  #takeStatus(status: Status): void {
    // First what is done for good, so that nobody who hears of a stop can take a stacked sheet for a lost one.
    this.#takeStacked(status);
    this.#takePresses(status);
    if (JSON.stringify(status.supplies) !== JSON.stringify(this.#supplies)) {
      this.#supplies = status.supplies;
      this.#tell({ kind: "supplies", supplies: status.supplies });
    }
    const warnings = warningsOf(status);
    if (String(warnings) !== String(this.#warnings)) {
      this.#warnings = warnings;
      this.#tell({ kind: "warnings", reasons: warnings });
    }
    const refused = status.refusal !== "none";
    if (status.state === "stopped" || refused) {
      if (refused && status.refusal !== "stopped") this.#countRefusal(status);
      this.#fail(faultOf(status));
    } else if (this.#fault && !this.#void) {
      this.#fault = undefined;
      this.#tell({ kind: "ready" });
    }
  }

  #takeStacked(status: Status): void {
    const job = this.#job;
    if (!job || status.jobKey !== job.jobKey) return;
    while (job.sheetsStacked < status.sheetsStacked) {
      job.sheetsStacked++;
      job.refusals = 0;
      try {
        this.#journal.save(job.jobKey, job.sheetsStacked);
      } catch (error) {
        this.#hopeless = toPlatenError(error);
      }
      this.#tell({ kind: "sheet-stacked", jobId: job.jobId, sheetNumber: job.sheetsStacked });
    }
  }

  #takePresses({ cancelPresses }: Status): void {
    const known = this.#cancelPresses;
    this.#cancelPresses = cancelPresses;
    // Fewer than before: another engine, or one that restarted.
    if (known !== undefined && cancelPresses > known) this.#tell({ kind: "cancel-pressed" });
  }

  /** A page is refused when memory or a codec failed, which may pass, or because host and engine disagree, which will not. */
  #countRefusal({ refusal }: Status): void {
    if (!this.#job || this.#void || ++this.#job.refusals <= refusalsMax) return;
    this.#hopeless = new PlatenError("engine-fault", `the engine refuses the job time and again: ${refusal}`);
  }

  /** Nothing can be printed; work that the engine had is lost. */
  #fail(fault: EngineFault): void {
    const hadWork = this.#job?.announced === true || this.#link.status?.refusal !== "none";
    this.#setFault(fault);
    if (hadWork && !this.#void) this.#throwOut();
  }

  #setFault(fault: EngineFault): void {
    if (this.#job?.announced) this.#lost = fault;
    const isNews = !sameFault(this.#fault, fault);
    this.#fault = fault;
    if (isNews) this.#tell(stopped(fault));
    this.#link.recheck();
  }

  /** The session's work is void here and, as soon as it hears of it, at the engine. */
  #throwOut(): void {
    this.#void = true;
    this.#link.abort();
  }
}

const stopped = ({ reasons, message }: EngineFault): EngineEvent => ({ kind: "stopped", reasons, message });
