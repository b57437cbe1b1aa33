/** How far one of the things that are kept current has come, from an offer to the start that tries it. */
import {
  type CheckForUpdateResponse,
  hasCode,
  type OfferedBundle,
  type PlatenError,
  toPlatenError,
  type UpdateOffer,
  UpdatePhase,
} from "@platen/proto";
import type { Attempt } from "./installation.ts";

export interface Progress {
  readonly phase: UpdatePhase;
  readonly targetVersion?: string;
  readonly percent?: number;
  readonly message?: string;
}

/** What is kept current: the app, or the system below it. */
export interface Layer {
  /** For people: "version" or "system". */
  readonly called: string;
  /** Why the payload failed here before, at this attempt or a later one. */
  knownFailure(payloadSha256: string, attempt: number): Promise<string | undefined>;
  /** Puts what is offered beside what runs. */
  install(attempt: Attempt): Promise<void>;
  /** The next start is of what was installed, once. */
  askTrial(payloadSha256: string, attempt: number): Promise<void>;
  /** What the backend offers of it. */
  offerIn(answer: CheckForUpdateResponse): UpdateOffer | undefined;
}

export interface TrackOptions {
  readonly layer: Layer;
  /** Tells the backend how far everything is. */
  readonly check: (signal: AbortSignal) => Promise<CheckForUpdateResponse>;
  /** Resolves when the printer is idle; it takes no prints from then on, until it is disposed of. */
  readonly whenIdle: (signal: AbortSignal) => Promise<Disposable>;
  readonly onStep: (message: string) => void;
  /** Monotonic, milliseconds. */
  readonly nowMs: () => number;
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

/** What tells offers apart: what is offered, and which attempt it is. */
const keyOf = (offer: UpdateOffer | undefined): string =>
  offer ? `${offer.bundles.at(-1)?.sha256Hex} ${offer.attempt}` : "";

/** How long an offer is left alone that failed so often, milliseconds: a minute, and twice as long each time up to an hour. */
const pauseMs = (times: number): number => Math.min(3_600_000, 60_000 * 2 ** (times - 1));

/** What the offer itself is the reason for: it is not tried again as it is. */
const isRefusal = (error: unknown): error is PlatenError =>
  hasCode(error, "update-invalid", "update-refused");

export class Track {
  progress: Progress = { phase: UpdatePhase.UP_TO_DATE };
  readonly #options: TrackOptions;
  #setback: Setback | undefined;

  constructor(options: TrackOptions) {
    this.#options = options;
  }

  /** What was refused may be trusted now. */
  forgive(): void {
    this.#setback = undefined;
  }

  /** Goes on to another step, and says so. Resolves to what the backend says to it; that it cannot hear it just now stops nothing but a trial. */
  async #step(
    progress: Progress,
    signal: AbortSignal,
    text?: string,
  ): Promise<CheckForUpdateResponse | undefined> {
    const before = this.progress;
    this.progress = progress;
    if (text) this.#options.onStep(text);
    return this.#options.check(signal).catch((error: unknown) => {
      signal.throwIfAborted();
      if (progress.phase !== UpdatePhase.TRYING) return undefined;
      // The version would have to reach it to be kept.
      this.progress = before;
      throw error;
    });
  }

  /** Resolves to what keeps the printer from printing, where a trial was asked for: what runs should be started anew. */
  async take(offer: UpdateOffer, signal: AbortSignal): Promise<Disposable | undefined> {
    const { layer } = this.#options;
    const target = offer.bundles.at(-1);
    if (!target) return undefined;
    const { version: targetVersion } = target;
    const key = keyOf(offer);
    const setback = this.#setback?.key === key ? this.#setback : undefined;
    const isLeftAlone = setback !== undefined && this.#options.nowMs() < setback.againMs;
    const failure = isLeftAlone ? setback.progress : await this.#knownFailure(offer, target);
    if (failure) {
      const { phase, targetVersion: shown } = this.progress;
      if (failure.phase !== phase || failure.targetVersion !== shown) await this.#step(failure, signal);
      return undefined;
    }
    const withdrawn = new AbortController();
    const attempt: Attempt = {
      offer,
      signal: AbortSignal.any([signal, withdrawn.signal]),
      say: async (phase, text, percent) => {
        const progress = { phase, targetVersion, ...(percent !== undefined && { percent }) };
        const answer = await this.#step(progress, signal, text);
        if (answer && keyOf(layer.offerIn(answer)) !== key) withdrawn.abort();
        withdrawn.signal.throwIfAborted();
      },
    };
    try {
      await layer.install(attempt);
      await attempt.say(UpdatePhase.WAITING, `${layer.called} ${targetVersion} is ready`);
      return await this.#leave(attempt, target);
    } catch (error) {
      signal.throwIfAborted();
      if (withdrawn.signal.aborted) {
        const text = `${layer.called} ${targetVersion} is no longer offered: what has come of it stays`;
        await this.#step({ phase: UpdatePhase.UP_TO_DATE }, signal, text);
        return undefined;
      }
      if (hasCode(error, "unavailable", "deadline-exceeded")) throw error;
      this.#setback = this.#setbackOf(error, key, targetVersion, (setback?.times ?? 0) + 1);
      const { progress } = this.#setback;
      await this.#step(progress, signal, `${layer.called} ${targetVersion} is refused: ${progress.message}`);
      return undefined;
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
  async #knownFailure({ attempt }: UpdateOffer, target: OfferedBundle): Promise<Progress | undefined> {
    const message = await this.#options.layer.knownFailure(target.payloadSha256Hex, attempt);
    if (message === undefined) return undefined;
    return { phase: UpdatePhase.ROLLED_BACK, targetVersion: target.version, message };
  }

  /** Asks for the trial of what is ready, when the printer is idle. It takes no more prints from then on, unless this throws. */
  async #leave(
    { offer, signal, say }: Attempt,
    { version, payloadSha256Hex }: OfferedBundle,
  ): Promise<Disposable> {
    const { layer, whenIdle } = this.#options;
    const pause = await whenIdle(signal);
    try {
      await say(UpdatePhase.TRYING, `changing to ${layer.called} ${version}`);
      await layer.askTrial(payloadSha256Hex, offer.attempt);
      return pause;
    } catch (error) {
      pause[Symbol.dispose]();
      throw error;
    }
  }
}
