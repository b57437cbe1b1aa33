/**
 * Keeps the printer's software current: asks the backend, fetches, installs beside what runs, waits until nothing is printed, and
 * asks the launcher for a trial. Says at every step how far it is. Nothing here can harm what runs: that only changes when the
 * launcher has seen the new version prove itself.
 */
import {
  type CheckForUpdateResponse,
  hasCode,
  type OfferedBundle,
  type PlatenError,
  PrinterStateReason,
  type PrinterUpdateService,
  type ServiceClient,
  toPlatenError,
  type UpdateOffer,
  UpdatePhase,
} from "@platen/proto";
import { sleep } from "../app/backoff.ts";
import type { Printer } from "../app/printer.ts";
import { type Attempt, type InstallationSite, installOffer, sweep } from "./installation.ts";
import type { Health } from "./supervised.ts";

export interface UpdaterOptions extends InstallationSite {
  /** Of the version that runs. */
  readonly version: string;
  /** Present while that is on trial. */
  readonly health: Pick<Health, "missing" | "passed"> | undefined;
  readonly printer: Pick<Printer, "printerId" | "status" | "endsAreTold" | "pause">;
  readonly client: Pick<ServiceClient<typeof PrinterUpdateService>, "checkForUpdate">;
  /** Told of each step, for people. */
  readonly onStep: (message: string) => void;
  /** Monotonic, milliseconds. */
  readonly nowMs: () => number;
}

interface Progress {
  readonly phase: UpdatePhase;
  readonly targetVersion?: string;
  readonly percent?: number;
  readonly message?: string;
}

/** An offer that came to nothing. */
interface Setback {
  /** As `keyOf` names it. */
  readonly key: string;
  readonly progress: Progress;
  readonly times: number;
  /** When it is taken up again; Infinity for one that is refused. */
  readonly againMs: number;
}

/** What tells offers apart: the app, and which attempt it is. */
const keyOf = (offer: UpdateOffer | undefined): string =>
  offer ? `${offer.bundles.at(-1)?.sha256Hex} ${offer.attempt}` : "";

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

/** How long an offer is left alone that failed so often, milliseconds: a minute, and twice as long each time up to an hour. */
const pauseMs = (times: number): number => Math.min(3_600_000, 60_000 * 2 ** (times - 1));

/** Until the next check where the backend wants one every `intervalMs`: not all printers at once. */
export const untilNextMs = (intervalMs: number): number =>
  Math.min(intervalMs, intervalMaxMs) * (0.75 + Math.random() / 2);

/** What the offer itself is the reason for: it is not tried again as it is. */
const isRefusal = (error: unknown): error is PlatenError =>
  hasCode(error, "update-invalid", "update-refused");

export class Updater {
  readonly #options: UpdaterOptions;
  #progress: Progress = { phase: UpdatePhase.UP_TO_DATE };
  #setback: Setback | undefined;
  /** Why the key set that the backend hands on is not taken; else empty. */
  #keyTrouble = "";
  /** While a version is on trial: a print that it began could be cut when it fails. */
  #pause: Disposable | undefined;

  constructor(options: UpdaterOptions) {
    this.#options = options;
    this.#pause = options.health && options.printer.pause();
  }

  /** Resolves when the printer should be started anew for a trial; rejects when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { health } = this.#options;
    this.#progress = await this.#atStart();
    for (;;) {
      let waitMs = retryMs;
      try {
        const { offer, keySet, intervalMs } = await this.#check(signal);
        // A version that cannot ask for the next one is not to be kept.
        health?.passed("backend");
        waitMs = intervalMs || retryMs;
        if (keySet.length > 0 && (await this.#trust(keySet))) continue;
        if (this.#pause && health?.missing.length === 0) {
          await this.#kept(signal);
          this.#pause[Symbol.dispose]();
          this.#pause = undefined;
          this.#progress = { phase: UpdatePhase.UP_TO_DATE };
          await this.#check(signal);
          await sweep(this.#options.board, []);
        }
        if (this.#pause) waitMs = Math.min(waitMs, retryMs);
        else if (offer && (await this.#take(offer, signal))) return;
      } catch (error) {
        signal.throwIfAborted();
        this.#options.onStep(`no update for now: ${toPlatenError(error).message}`);
      }
      await sleep(untilNextMs(waitMs), signal);
    }
  }

  /**
   * Takes a key set, if the present one vouches for it. Resolves to whether it did: there may be another then, and what was
   * refused may be trusted now. Otherwise updates go on with the keys that there are.
   */
  async #trust(bytes: Uint8Array): Promise<boolean> {
    const { board, onStep } = this.#options;
    try {
      const { number } = await board.keys();
      const next = await board.rotateKeys(bytes);
      this.#keyTrouble = "";
      if (next.number === number) return false;
      onStep(`key set ${next.number} is trusted from now on`);
      this.#setback = undefined;
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

  async #atStart(): Promise<Progress> {
    const { board, health } = this.#options;
    if (health) return { phase: UpdatePhase.TRYING, targetVersion: this.#options.version };
    const { last } = await board.state();
    if (!last || last.outcome === "good") return { phase: UpdatePhase.UP_TO_DATE };
    return { phase: UpdatePhase.ROLLED_BACK, targetVersion: last.version, message: last.reason };
  }

  async #check(signal: AbortSignal): Promise<CheckForUpdateResponse> {
    const { board, version, printer, client, printerKey, boardName, channel } = this.#options;
    const { number: keySet } = await board.keys();
    const { starts } = await board.state();
    const status = {
      message: this.#keyTrouble,
      ...this.#progress,
      version,
      board: boardName,
      channel,
      keySet,
      starts: BigInt(starts),
    };
    const headers = { authorization: `Bearer ${printerKey()}` };
    return client.checkForUpdate(
      { printerId: printer.printerId, status },
      { signal, timeoutMs: callTimeoutMs, headers },
    );
  }

  /** Goes on to another step, and says so. Resolves to what the backend says to it; that it cannot hear it just now stops nothing but a trial. */
  async #step(
    progress: Progress,
    signal: AbortSignal,
    text?: string,
  ): Promise<CheckForUpdateResponse | undefined> {
    const before = this.#progress;
    this.#progress = progress;
    if (text) this.#options.onStep(text);
    return this.#check(signal).catch((error: unknown) => {
      signal.throwIfAborted();
      if (progress.phase !== UpdatePhase.TRYING) return undefined;
      // The version would have to reach it to be kept.
      this.#progress = before;
      throw error;
    });
  }

  /** Resolves to whether the printer should be started anew. */
  async #take(offer: UpdateOffer, signal: AbortSignal): Promise<boolean> {
    const app = offer.bundles.at(-1);
    if (!app) return false;
    const { version: targetVersion } = app;
    const key = keyOf(offer);
    const setback = this.#setback?.key === key ? this.#setback : undefined;
    const isLeftAlone = setback !== undefined && this.#options.nowMs() < setback.againMs;
    const failure = isLeftAlone ? setback.progress : await this.#knownFailure(offer, app);
    if (failure) {
      const { phase, targetVersion: shown } = this.#progress;
      if (failure.phase !== phase || failure.targetVersion !== shown) await this.#step(failure, signal);
      return false;
    }
    const withdrawn = new AbortController();
    const attempt: Attempt = {
      offer,
      signal: AbortSignal.any([signal, withdrawn.signal]),
      say: async (phase, text, percent) => {
        const progress = { phase, targetVersion, ...(percent !== undefined && { percent }) };
        const answer = await this.#step(progress, signal, text);
        if (answer && keyOf(answer.offer) !== key) withdrawn.abort();
        withdrawn.signal.throwIfAborted();
      },
    };
    try {
      await installOffer(this.#options, attempt);
      await attempt.say(UpdatePhase.WAITING, `version ${targetVersion} is ready`);
      await this.#leave(attempt, app);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (withdrawn.signal.aborted) {
        const text = `version ${targetVersion} is no longer offered: what has come of it stays`;
        await this.#step({ phase: UpdatePhase.UP_TO_DATE }, signal, text);
        return false;
      }
      if (hasCode(error, "unavailable", "deadline-exceeded")) throw error;
      this.#setback = this.#setbackOf(error, key, targetVersion, (setback?.times ?? 0) + 1);
      const { progress } = this.#setback;
      await this.#step(progress, signal, `version ${targetVersion} is refused: ${progress.message}`);
      return false;
    }
  }

  #setbackOf(error: unknown, key: string, targetVersion: string, times: number): Setback {
    const { message } = toPlatenError(error);
    const leftMs = isRefusal(error) ? Number.POSITIVE_INFINITY : pauseMs(times);
    const again = isRefusal(error) ? "" : `; tried again in ${leftMs / 60_000} min`;
    return {
      key,
      progress: { phase: UpdatePhase.REFUSED, targetVersion, message: message + again },
      times,
      againMs: this.#options.nowMs() + leftMs,
    };
  }

  /** What became of the same offer in an earlier trial. */
  async #knownFailure({ attempt }: UpdateOffer, app: OfferedBundle): Promise<Progress | undefined> {
    const { failed } = await this.#options.board.state();
    const failure = failed[app.payloadSha256Hex];
    if (!failure || failure.attempt < attempt) return undefined;
    return { phase: UpdatePhase.ROLLED_BACK, targetVersion: app.version, message: failure.reason };
  }

  /** Asks for the trial of what is ready, when the printer is idle. It takes no more prints from then on, unless this throws. */
  async #leave({ offer, signal, say }: Attempt, { version, payloadSha256Hex }: OfferedBundle): Promise<void> {
    const { board, printer, nowMs } = this.#options;
    for (let printedMs = nowMs(); !this.#isIdle(nowMs() - printedMs); ) {
      if (printer.status().heldJobs > 0) printedMs = nowMs();
      await sleep(idleCheckMs, signal);
    }
    const pause = printer.pause();
    try {
      await say(UpdatePhase.TRYING, `changing to version ${version}`);
      await board.askTrial(payloadSha256Hex, offer.attempt);
    } catch (error) {
      pause[Symbol.dispose]();
      throw error;
    }
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
