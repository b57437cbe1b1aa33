/** One print as everybody sees it: its status now, and whenever it changes. */
import { create } from "@bufbuild/protobuf";
import {
  JobState,
  JobStateReason,
  PlatenError,
  type PrintInstruction,
  type PrintStatus,
  PrintStatusSchema,
  type SessionId,
} from "@platen/proto";

type Change = Partial<
  Pick<
    PrintStatus,
    | "state"
    | "stateReasons"
    | "printerStateReasons"
    | "message"
    | "errorCode"
    | "impressionsCompleted"
    | "mediaSheetsCompleted"
    | "markerSupplies"
    | "printerWarnings"
  >
>;

const isEnd = (state: JobState): boolean =>
  state === JobState.COMPLETED || state === JobState.CANCELED || state === JobState.ABORTED;

export class PrintRecord {
  readonly session: SessionId;
  readonly instruction: PrintInstruction;
  #status: PrintStatus;
  #changed = Promise.withResolvers<void>();
  #givenUp = false;

  constructor(session: SessionId, instruction: PrintInstruction, outputLocation: string) {
    this.session = session;
    this.instruction = instruction;
    this.#status = create(PrintStatusSchema, {
      session,
      sequence: 1n,
      state: JobState.PENDING,
      stateReasons: [JobStateReason.JOB_QUEUED],
      message: "waiting for its turn",
      mediaSheetsCompleted: instruction.mediaSheetsCompleted,
      outputLocation,
    });
  }

  /** As it stands; never changed in place. */
  get status(): PrintStatus {
    return this.#status;
  }

  /** Whether it has come to its end state; nothing changes after that. */
  get ended(): boolean {
    return isEnd(this.#status.state);
  }

  /** A new status, with the next sequence. Without effect after the end. */
  update(change: Change): void {
    if (this.ended || this.#givenUp) return;
    const sequence = this.#status.sequence + 1n;
    this.#status = create(PrintStatusSchema, { ...this.#status, ...change, sequence });
    this.#wake();
  }

  /** Ends it as canceled (S1414). */
  cancel(reason: JobStateReason, message: string): void {
    this.update({ state: JobState.CANCELED, stateReasons: [reason], message });
  }

  /** The printer is switched off before the end: the last status stands, and the print may be begun again elsewhere. */
  giveUp(): void {
    this.#givenUp = true;
    this.#wake();
  }

  /**
   * The status now and whenever it changes; a quick succession may show only its last. Ends with the print, or when
   * `signal` aborts. Throws `unavailable` after the last status of a print that was given up.
   */
  async *watch(signal: AbortSignal): AsyncGenerator<PrintStatus> {
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    let seen = 0n;
    while (!signal.aborted) {
      const changed = this.#changed.promise;
      if (this.#status.sequence > seen) {
        seen = this.#status.sequence;
        yield this.#status;
        continue;
      }
      if (this.ended) return;
      if (this.#givenUp) throw new PlatenError("unavailable", "the printer is being switched off");
      await Promise.race([changed, aborted]);
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
