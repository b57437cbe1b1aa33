/** The driver of an engine on a serial line (docs/engine-link.md). */
import { createHash } from "node:crypto";
import { type Capabilities, messagesOf, type PackedStrip } from "@platen/hw/protocol";
import { hasCode } from "@platen/proto";
import type {
  EngineCapabilities,
  EngineDriver,
  EngineEvent,
  JobStart,
  PageStart,
  PlanarBand,
} from "../ports/engine-driver.ts";
import type { Packer } from "./serial-packer.ts";
import { portCapabilities, SerialSession, type SessionOptions } from "./serial-session.ts";

export interface SerialEngineOptions extends SessionOptions {
  /** The driver disposes of it. */
  readonly packer: Packer;
  /** How long the engine may take to answer at first. */
  readonly openTimeoutMs: number;
  /** What an engine that does not answer in time is taken for until it does; without it, opening fails then. */
  readonly assumed?: EngineCapabilities;
}

/** 8 bytes of the job's name, as the link wants them. */
export const jobKeyOf = (jobId: string): string =>
  createHash("sha256").update(jobId).digest("hex").slice(0, 16);

const nothing: PackedStrip["bands"] = [];

export class SerialEngine implements EngineDriver {
  readonly #session: SerialSession;
  readonly #packer: Packer;
  readonly #assumed: EngineCapabilities | undefined;
  #page: PageStart | undefined;
  /** Of the sheet, as far as it is packed. */
  #digest = 0;
  /** The strip that goes over the line while the next one is packed. */
  #packed = nothing;

  /** Use `openSerialEngine`. */
  constructor(session: SerialSession, { packer, assumed }: SerialEngineOptions) {
    this.#session = session;
    this.#packer = packer;
    this.#assumed = assumed;
  }

  get capabilities(): EngineCapabilities {
    return portCapabilities(this.#session.engine ?? this.#assumed!);
  }

  outputLocation(): string {
    return "";
  }

  async startJob({ jobId, jobName }: JobStart, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    this.#page = undefined;
    const job = this.#session.openJob(jobId, jobKeyOf(jobId), jobName);
    await this.#session.announce(signal);
    return job.sheetsStacked;
  }

  async startPage(page: PageStart, signal: AbortSignal): Promise<void> {
    await this.#session.announce(signal);
    this.#page = page;
    this.#packed = nothing;
    if (page.side === "front") this.#digest = 0;
    const { sheetNumber: sheet, ...rest } = page;
    this.#session.send({ kind: "page", sheet, ...rest });
    await this.#session.room(signal);
  }

  async writeBand(band: PlanarBand, signal: AbortSignal): Promise<void> {
    const packing = this.#packer.pack(band, this.#digest, this.#engine);
    // Both to their ends: the packer reads the planes, which are the caller's again after this.
    const [sent, packed] = await Promise.allSettled([this.#sendPacked(signal), packing]);
    if (sent.status === "rejected") throw sent.reason;
    if (packed.status === "rejected") throw packed.reason;
    this.#digest = packed.value.digest;
    this.#packed = packed.value.bands;
  }

  async endPage(signal: AbortSignal): Promise<void> {
    await this.#sendPacked(signal);
    this.#session.send({ kind: "page-end", digest: this.#digest });
    await this.#session.delivered(signal);
    if (this.#page?.lastOfSheet) this.#session.job.lastSheet = this.#page.sheetNumber;
    this.#page = undefined;
  }

  async endJob(signal: AbortSignal): Promise<void> {
    const { job } = this.#session;
    await this.#session.announce(signal);
    this.#session.send({ kind: "job-end" });
    await this.#session.delivered(signal, () => job.sheetsStacked >= job.lastSheet);
    this.#session.closeJob();
  }

  async abort(): Promise<void> {
    this.#page = undefined;
    await this.#session.abort();
  }

  listen(listener: (event: EngineEvent) => void): () => void {
    return this.#session.listen(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
    await this.#packer[Symbol.asyncDispose]();
  }

  /** The engine that a page was begun on. */
  get #engine(): Capabilities {
    const { engine } = this.#session;
    if (!engine) throw new Error("no page has been started");
    return engine;
  }

  async #sendPacked(signal: AbortSignal): Promise<void> {
    const bands = this.#packed;
    this.#packed = nothing;
    for (const band of bands) {
      // Before each: whoever sent on after a fault would mix two sessions.
      await this.#session.room(signal);
      for (const message of messagesOf(band, this.#session.payloadBytes)) this.#session.send(message);
    }
    await this.#session.room(signal);
  }
}

/**
 * Opens the port and greets the engine. When it has not answered in time it is waited for on, if there is something to take
 * it for; else this throws `engine-offline`, with what is wrong with the port or with the engine's version of the link.
 */
export async function openSerialEngine(options: SerialEngineOptions): Promise<SerialEngine> {
  const session = new SerialSession(options);
  const engine = new SerialEngine(session, options);
  try {
    await session.answered(options.openTimeoutMs);
  } catch (error) {
    if (!options.assumed || !hasCode(error, "engine-offline")) {
      await engine[Symbol.asyncDispose]();
      throw error;
    }
  }
  return engine;
}
