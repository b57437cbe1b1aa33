/**
 * Keeps the printer's software current, the app and the system below it: asks the backend, fetches, installs beside what runs,
 * waits until nothing is printed, and asks for a trial. Says at every step how far it is. Nothing here can harm what runs: that
 * only changes when the new version has proved itself.
 */
import {
  type CheckForUpdateResponse,
  PlatenError,
  PrinterStateReason,
  type PrinterUpdateService,
  type ServiceClient,
  toPlatenError,
  UpdatePhase,
} from "@platen/proto";
import { sleep } from "../app/backoff.ts";
import type { Printer } from "../app/printer.ts";
import { type InstallationSite, sweep } from "./installation.ts";
import { appLayer, systemLayer } from "./layers.ts";
import type { Health } from "./supervised.ts";
import type { SystemStatus } from "./system-files.ts";
import type { SystemLink } from "./system-link.ts";
import { type Layer, type Progress, Track } from "./track.ts";

export interface UpdaterOptions extends InstallationSite {
  /** Of the app that runs. */
  readonly version: string;
  /** Present while that, or the system, is on trial. */
  readonly health: Pick<Health, "missing" | "passed"> | undefined;
  /** Where the board has a service for systems: the way to it, and what it said when this app was started. */
  readonly system?: { readonly link: SystemLink; readonly atStart: SystemStatus } | undefined;
  readonly printer: Pick<Printer, "printerId" | "status" | "endsAreTold" | "pause">;
  readonly client: Pick<ServiceClient<typeof PrinterUpdateService>, "checkForUpdate">;
  /** Told of each step, for people. */
  readonly onStep: (message: string) => void;
  /** Monotonic, milliseconds. */
  readonly nowMs: () => number;
}

const callTimeoutMs = 15_000;
/** After a check that failed, milliseconds. */
const retryMs = 10_000;
/** The backend is asked once a day at least; a timer of the system cannot be set for a month either. */
const intervalMaxMs = 86_400_000;
/** Between looks at whether the printer is idle, milliseconds. */
const idleCheckMs = 500;
/** So long after its last print a printer need not wait any more for somebody to ask how it ended, milliseconds. */
const untoldMaxMs = 600_000;
/** Between looks at whether the launcher has kept this version, milliseconds. */
const keptCheckMs = 100;
/** A board that was told to start again does it sooner, milliseconds. */
const restartMaxMs = 300_000;

/** Until the next check where the backend wants one every `intervalMs`: not all printers at once. */
export const untilNextMs = (intervalMs: number): number =>
  Math.min(intervalMs, intervalMaxMs) * (0.75 + Math.random() / 2);

const lastOf = (last: { version: string; outcome: string; reason: string } | undefined): Progress =>
  !last || last.outcome === "good"
    ? { phase: UpdatePhase.UP_TO_DATE }
    : { phase: UpdatePhase.ROLLED_BACK, targetVersion: last.version, message: last.reason };

export class Updater {
  readonly #options: UpdaterOptions;
  readonly #app: Track;
  readonly #system: Track | undefined;
  /** Why the key set that the backend hands on is not taken; else empty. */
  #keyTrouble = "";
  /** While something is on trial: a print that it began could be cut when it fails. */
  #pause: Disposable | undefined;

  constructor(options: UpdaterOptions) {
    this.#options = options;
    this.#pause = options.health && options.printer.pause();
    const { onStep, nowMs, system } = options;
    const track = (layer: Layer) =>
      new Track({
        layer,
        check: (signal) => this.#check(signal),
        whenIdle: (signal) => this.#whenIdle(signal),
        onStep,
        nowMs,
      });
    this.#app = track(appLayer(options));
    this.#system = system && track(systemLayer(options, system.link));
  }

  /** Resolves when the printer should be started anew for a trial; rejects when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { health } = this.#options;
    await this.#begin();
    for (;;) {
      let waitMs = retryMs;
      try {
        const answer = await this.#check(signal);
        const { keySet, intervalMs } = answer;
        // A version that cannot ask for the next one is not to be kept.
        health?.passed("backend");
        waitMs = intervalMs || retryMs;
        if (keySet.length > 0 && (await this.#trust(keySet, signal))) continue;
        if (this.#pause && health?.missing.length === 0) await this.#proved(signal);
        if (this.#pause) waitMs = Math.min(waitMs, retryMs);
        else if (await this.#take(answer, signal)) return;
      } catch (error) {
        signal.throwIfAborted();
        this.#options.onStep(`no update for now: ${toPlatenError(error).message}`);
      }
      await sleep(untilNextMs(waitMs), signal);
    }
  }

  async #begin(): Promise<void> {
    const { board, health, system, version } = this.#options;
    const trying = (targetVersion: string) => ({ phase: UpdatePhase.TRYING, targetVersion });
    const below = system?.atStart;
    this.#app.progress = health && !below?.trial ? trying(version) : lastOf((await board.state()).last);
    if (this.#system && below) {
      this.#system.progress = below.trial ? trying(below.version) : lastOf(below.last);
    }
  }

  /** Resolves to whether the printer should be started anew. */
  async #take({ offer, systemOffer }: CheckForUpdateResponse, signal: AbortSignal): Promise<boolean> {
    if (offer && (await this.#app.take(offer, signal))) return true;
    const pause = systemOffer && (await this.#system?.take(systemOffer, signal));
    if (!pause) return false;
    // The board goes down, and this with it.
    using _ = pause;
    await sleep(restartMaxMs, signal);
    throw new PlatenError("internal", "the board did not start again for the new system");
  }

  /** All checks are passed: what was on trial stays. */
  async #proved(signal: AbortSignal): Promise<void> {
    const { system, board } = this.#options;
    await this.#kept(signal);
    if (system?.atStart.trial) await system.link.ask({ action: "keep" }, signal);
    this.#pause?.[Symbol.dispose]();
    this.#pause = undefined;
    for (const track of [this.#app, this.#system]) {
      if (track?.progress.phase === UpdatePhase.TRYING) track.progress = { phase: UpdatePhase.UP_TO_DATE };
    }
    await this.#check(signal);
    await sweep(board, []);
  }

  /**
   * Takes a key set, if the present one vouches for it. Resolves to whether it did: there may be another then, and what was
   * refused may be trusted now. Otherwise updates go on with the keys that there are.
   */
  async #trust(bytes: Uint8Array, signal: AbortSignal): Promise<boolean> {
    const { board, onStep, system } = this.#options;
    try {
      const { number } = await board.keys();
      // First the system's service: should the power go in between, the set comes once more.
      const keySet = Buffer.from(bytes).toString("base64");
      await system?.link.ask({ action: "trust", keySet }, signal);
      const next = await board.rotateKeys(bytes);
      this.#keyTrouble = "";
      if (next.number === number) return false;
      onStep(`key set ${next.number} is trusted from now on`);
      this.#app.forgive();
      this.#system?.forgive();
      return true;
    } catch (error) {
      const trouble = `key set not taken: ${toPlatenError(error).message}`;
      if (trouble !== this.#keyTrouble) onStep(trouble);
      this.#keyTrouble = trouble;
      return false;
    }
  }

  /** Waits until the launcher has made this version the current one: before that its slot counts as the free one. */
  async #kept(signal: AbortSignal): Promise<void> {
    const { board, version } = this.#options;
    while ((await board.current())?.manifest.version !== version) await sleep(keptCheckMs, signal);
  }

  async #check(signal: AbortSignal): Promise<CheckForUpdateResponse> {
    const { board, version, printer, client, printerKey, boardName, channel, system } = this.#options;
    const { number: keySet } = await board.keys();
    const { starts } = await board.state();
    const status = {
      message: this.#keyTrouble,
      ...this.#app.progress,
      version,
      board: boardName,
      channel,
      keySet,
      starts: BigInt(starts),
    };
    const below = system && {
      ...this.#system?.progress,
      version: system.atStart.version,
      board: system.atStart.board,
      channel,
      keySet,
    };
    const headers = { authorization: `Bearer ${printerKey()}` };
    return client.checkForUpdate(
      { printerId: printer.printerId, status, ...(below && { system: below }) },
      { signal, timeoutMs: callTimeoutMs, headers },
    );
  }

  async #whenIdle(signal: AbortSignal): Promise<Disposable> {
    const { printer, nowMs } = this.#options;
    for (let printedMs = nowMs(); !this.#isIdle(nowMs() - printedMs); ) {
      if (printer.status().heldJobs > 0) printedMs = nowMs();
      await sleep(idleCheckMs, signal);
    }
    return printer.pause();
  }

  /**
   * Whether nothing is printed or waits to be, all that was printed is told, and the engine is there: a trial without it would
   * prove nothing. The last print was seen `sinceMs` ago.
   */
  #isIdle(sinceMs: number): boolean {
    const { printer } = this.#options;
    const { heldJobs, stateReasons } = printer.status();
    const isTold = printer.endsAreTold || sinceMs > untoldMaxMs;
    return heldJobs === 0 && isTold && !stateReasons.includes(PrinterStateReason.ENGINE_OFFLINE);
  }
}
