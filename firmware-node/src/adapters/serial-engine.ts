/**
 * The driver of an engine on a serial line (docs/engine-link.md). Cuts that are short pass unnoticed: the link resumes in
 * mid-page. After a stop, a long silence or a restart of the engine the driver throws out what is left of the session, learns
 * what is stacked, and is ready for the first sheet that is not.
 */
import { createHash, randomInt } from "node:crypto";
import { type Clock, HostLink, type LinkEvent, realClock } from "@platen/hw/link";
import {
  bandMessages,
  type Capabilities,
  digestBand,
  type Message,
  ownVersions,
  type Reason,
  type Status,
  stripBands,
} from "@platen/hw/protocol";
import { PlatenError, PrinterStateReason, toPlatenError } from "@platen/proto";
import {
  type EngineCapabilities,
  type EngineDriver,
  type EngineEvent,
  EngineFault,
  type JobStart,
  type PageStart,
  type PlanarBand,
} from "../ports/engine-driver.ts";
import type { Journal } from "./serial-journal.ts";
import type { EnginePort } from "./serial-port.ts";

export interface SerialEngineOptions {
  readonly port: EnginePort;
  readonly journal: Journal;
  readonly baudRateBps: number;
  /** How long the engine may take to answer at first. */
  readonly openTimeoutMs: number;
  /** Default: the real one. */
  readonly clock?: Clock;
}

/** Payload that loses little to a bit error, and costs little beside its header. */
const payloadBytes = 512;
/** A cut may last so long, beyond the link's own 2.5 s, before it is called one. The engine keeps its session longer. */
const graceMs = 5000;
/** An engine that is silent for so long may have a port that is worth opening anew, and again after as long. */
const reopenMs = 4000;
/** How long an abort waits for the engine's word. */
const abortPatienceMs = 3000;
/** Sheets that an engine may refuse one after the other before the job fails. */
const refusalsMax = 3;

const reasonOf: Readonly<Record<Reason, PrinterStateReason>> = {
  "media-empty": PrinterStateReason.MEDIA_EMPTY,
  "media-needed": PrinterStateReason.MEDIA_NEEDED,
  "media-jam": PrinterStateReason.MEDIA_JAM,
  "marker-supply-empty": PrinterStateReason.MARKER_SUPPLY_EMPTY,
  "marker-supply-low": PrinterStateReason.MARKER_SUPPLY_LOW,
  "cover-open": PrinterStateReason.COVER_OPEN,
  "output-area-full": PrinterStateReason.OUTPUT_AREA_FULL,
  "fuser-over-temp": PrinterStateReason.ENGINE_FAULT,
  "fuser-under-temp": PrinterStateReason.ENGINE_FAULT,
  "marker-waste-full": PrinterStateReason.ENGINE_FAULT,
  "engine-fault": PrinterStateReason.ENGINE_FAULT,
};

const offline = (message: string): EngineFault =>
  new EngineFault([PrinterStateReason.ENGINE_OFFLINE], message);

/** Why the engine stands still, as its status says. */
function faultOf(status: Status): EngineFault {
  const reasons = [...new Set(status.reasons.map((reason) => reasonOf[reason]))];
  const refused =
    status.refusal === "none" || status.refusal === "stopped"
      ? ""
      : `the engine refused a page: ${status.refusal}`;
  const words = refused || status.message || status.reasons.join(", ") || "the engine stopped";
  return new EngineFault(reasons.length > 0 ? reasons : [PrinterStateReason.ENGINE_FAULT], words);
}

/** 8 bytes of the job's name, as the link wants them. */
export const jobKeyOf = (jobId: string): string =>
  createHash("sha256").update(jobId).digest("hex").slice(0, 16);

interface OpenJob {
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

export class SerialEngine implements EngineDriver {
  readonly capabilities: EngineCapabilities;
  readonly #capabilities: Capabilities;
  readonly #link: HostLink;
  readonly #port: EnginePort;
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #mute: () => void;
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  readonly #timers = new Set<() => void>();
  /** Why nothing can be printed now. */
  #fault: EngineFault | undefined;
  /** Work in the engine was lost, and no operation has said so yet. */
  #lost: EngineFault | undefined;
  /** The job cannot go on at all. */
  #hopeless: PlatenError | undefined;
  /** What the session holds is being thrown out; nothing may be sent before. */
  #void = false;
  #endGrace: (() => void) | undefined;
  #job: OpenJob | undefined;
  #page: PageStart | undefined;
  #digest = 0;
  #cancelPresses: number | undefined;
  #supplies: Status["supplies"] = [];

  /** Use `openSerialEngine`. The link is up. */
  constructor(link: HostLink, options: SerialEngineOptions) {
    const it = link.capabilities!;
    this.#capabilities = it;
    this.#link = link;
    this.#port = options.port;
    this.#journal = options.journal;
    this.#clock = options.clock ?? realClock;
    const { makeAndModel, colorants, resolutionsDpi, duplex } = it;
    this.capabilities = { makeAndModel, colorants, resolutionsDpi, duplex };
    this.#mute = link.listen((event) => this.#hear(event));
    if (link.status) this.#takeStatus(link.status);
  }

  outputLocation(): string {
    return "";
  }

  async startJob(job: JobStart, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const jobKey = jobKeyOf(job.jobId);
    this.#page = undefined;
    this.#lost = undefined;
    this.#hopeless = undefined;
    this.#job = {
      jobId: job.jobId,
      jobKey,
      name: job.jobName,
      sheetsStacked: this.#journal.stackedOf(jobKey),
      announced: false,
      lastSheet: 0,
      refusals: 0,
    };
    await this.#announce(this.#job, signal);
    return this.#job.sheetsStacked;
  }

  async startPage(page: PageStart, signal: AbortSignal): Promise<void> {
    const job = this.#openJob();
    await this.#announce(job, signal);
    this.#page = page;
    if (page.side === "front") this.#digest = 0;
    const { sheetNumber: sheet, ...rest } = page;
    this.#send({ kind: "page", sheet, ...rest });
    await this.#room(signal);
  }

  async writeBand(band: PlanarBand, signal: AbortSignal): Promise<void> {
    for (const plain of stripBands(band, this.#capabilities)) {
      // Checked before each: whoever sent on after a fault would mix two sessions.
      await this.#room(signal);
      this.#digest = digestBand(this.#digest, plain);
      const messages = bandMessages(plain, band.strideBytes, this.#capabilities, this.#link.payloadBytes);
      for (const message of messages) this.#send(message);
    }
    await this.#room(signal);
  }

  async endPage(signal: AbortSignal): Promise<void> {
    await this.#room(signal);
    this.#send({ kind: "page-end", digest: this.#digest });
    await this.#until(() => this.#link.isDelivered, signal);
    if (this.#page?.lastOfSheet) this.#openJob().lastSheet = this.#page.sheetNumber;
    this.#page = undefined;
  }

  async endJob(signal: AbortSignal): Promise<void> {
    const job = this.#openJob();
    await this.#announce(job, signal);
    this.#send({ kind: "job-end" });
    await this.#until(() => this.#link.isDelivered && job.sheetsStacked >= job.lastSheet, signal);
    this.#job = undefined;
  }

  async abort(): Promise<void> {
    this.#job = undefined;
    this.#page = undefined;
    this.#throwOut();
    const patience = new AbortController();
    const cancel = this.#after(abortPatienceMs, () => patience.abort());
    await this.#link
      .until(() => (this.#link.isUp && !this.#void ? true : undefined), patience.signal)
      .catch(() => {});
    cancel();
  }

  listen(listener: (event: EngineEvent) => void): () => void {
    listener(this.#fault ? this.#stopped(this.#fault) : { kind: "ready" });
    listener({ kind: "supplies", supplies: this.#supplies });
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#job && this.#link.isUp) await this.abort();
    this.#mute();
    for (const cancel of this.#timers) cancel();
    this.#link.stop();
    await this.#port[Symbol.asyncDispose]();
  }

  #openJob(): OpenJob {
    if (!this.#job) throw new Error("no job has been started");
    return this.#job;
  }

  /** Tells the engine of the job, once a session, and learns what it has stacked. */
  async #announce(job: OpenJob, signal: AbortSignal): Promise<void> {
    await this.#until(() => this.#isClear(), signal);
    if (job.announced) return;
    const { jobKey, name, sheetsStacked } = job;
    this.#send({ kind: "job", jobKey, sheetsStacked, name });
    job.announced = true;
    await this.#until(() => this.#link.isDelivered && this.#link.status?.jobKey === jobKey, signal);
  }

  /** The link is up, in a session that holds nothing void, and the engine has said how it stands. */
  #isClear(): boolean {
    return this.#link.isUp && !this.#void && this.#link.status !== undefined;
  }

  #send(message: Message): void {
    this.#link.send(message);
  }

  /** Waits until the engine takes more. */
  #room(signal: AbortSignal): Promise<void> {
    return this.#until(() => this.#isClear() && !this.#link.isHeldUp, signal);
  }

  /** Waits until it is so; rejects with EngineFault when the engine stops, or did since the last operation. */
  async #until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
    await this.#link.until(() => {
      if (this.#hopeless) throw this.#hopeless;
      const fault = this.#lost ?? this.#fault;
      this.#lost = undefined;
      if (fault) throw fault;
      return isSo() ? true : undefined;
    }, signal);
  }

  #after(delayMs: number, work: () => void): () => void {
    const cancel = this.#clock.after(delayMs, () => {
      this.#timers.delete(cancel);
      work();
    });
    this.#timers.add(cancel);
    return () => {
      this.#timers.delete(cancel);
      cancel();
    };
  }

  #tell(event: EngineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #stopped({ reasons, message }: EngineFault): EngineEvent {
    return { kind: "stopped", reasons, message };
  }

  #hear(event: LinkEvent): void {
    switch (event.kind) {
      case "lost":
        this.#endGrace?.();
        this.#endGrace = this.#after(graceMs, () => this.#fail(offline("the engine does not answer")));
        this.#reopenLater();
        break;
      case "refused":
        this.#fail(offline(versionsApart(event)));
        break;
      case "up":
        this.#cameUp(event.resumed);
        break;
      case "status":
        this.#takeStatus(event.status);
        break;
    }
  }

  #reopenLater(): void {
    this.#after(reopenMs, () => {
      if (this.#link.isUp) return;
      this.#port.reopen();
      this.#reopenLater();
    });
  }

  #cameUp(resumed: boolean): void {
    this.#endGrace?.();
    this.#endGrace = undefined;
    if (resumed) return;
    // A session with nothing in it: by our own abort, or because the engine restarted and lost the one before.
    if (!this.#void && this.#job?.announced) this.#setFault(offline("the engine restarted"));
    this.#void = false;
    if (this.#job) this.#job.announced = false;
  }

  #takeStatus(status: Status): void {
    // First what is done for good, so that nobody who hears of a stop can take a stacked sheet for a lost one.
    this.#takeStacked(status);
    this.#takePresses(status);
    if (JSON.stringify(status.supplies) !== JSON.stringify(this.#supplies)) {
      this.#supplies = status.supplies;
      this.#tell({ kind: "supplies", supplies: status.supplies });
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
    const before = this.#fault;
    this.#fault = fault;
    const same = before?.message === fault.message && String(before.reasons) === String(fault.reasons);
    if (!same) this.#tell(this.#stopped(fault));
    this.#link.recheck();
  }

  /** The session's work is void here and, as soon as it hears of it, at the engine. */
  #throwOut(): void {
    this.#void = true;
    this.#link.abort();
  }
}

const versionsApart = ({
  engineMinVersion,
  engineMaxVersion,
}: {
  engineMinVersion: number;
  engineMaxVersion: number;
}): string =>
  `the engine speaks versions ${engineMinVersion} to ${engineMaxVersion} of the engine link, this controller ${ownVersions.minVersion} to ${ownVersions.maxVersion}: update the older of the two`;

/**
 * Opens the port and greets the engine. Throws `engine-offline` when no engine has answered in time, with what is wrong with
 * the port if something is, or when the two have no version of the link in common.
 */
export async function openSerialEngine(options: SerialEngineOptions): Promise<SerialEngine> {
  const { port, clock = realClock, baudRateBps, openTimeoutMs } = options;
  const link = new HostLink(
    {
      ...ownVersions,
      bootId: randomInt(2 ** 32),
      firstSession: randomInt(65_536),
      payloadBytes,
      // A tenth of a second, at ten bits a byte.
      bytesUnderWay: Math.max(2 * payloadBytes, baudRateBps / 100),
    },
    clock,
    (bytes) => port.write(bytes),
  );
  const late = new AbortController();
  const cancel = clock.after(openTimeoutMs, () => {
    const why = port.problem ? `: ${port.problem}` : "";
    late.abort(new PlatenError("engine-offline", `no engine answers on the serial port${why}`));
  });
  const mute = link.listen((event) => {
    if (event.kind === "refused") late.abort(new PlatenError("engine-offline", versionsApart(event)));
  });
  try {
    port.start({
      opened: () => link.opened(),
      closed: () => link.closed(),
      bytes: (bytes) => link.receive(bytes),
    });
    await link.until(() => (link.isUp && link.status ? true : undefined), late.signal);
    return new SerialEngine(link, options);
  } catch (error) {
    link.stop();
    await port[Symbol.asyncDispose]();
    throw error;
  } finally {
    cancel();
    mute();
  }
}
