/** The printer: a queue of prints, one at the engine at a time, in the order in which they came. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  JobErrorAction,
  JobStateReason,
  PlatenError,
  type PrinterCapabilities,
  PrinterState,
  type PrinterStateReason,
  type PrinterStatus,
  PrinterStatusSchema,
  type PrintInstruction,
  type PrintStatus,
  type SessionId,
  supplyReasons,
} from "@platen/proto";
import type { EngineCapabilities, EngineEvent, Supply } from "../ports/engine-driver.ts";
import { markerSupplies } from "./marker-supplies.ts";
import { PrintRecord } from "./print-record.ts";
import { type RunnerDependencies, PrintStop, runPrint } from "./print-runner.ts";

export interface PrinterDependencies extends RunnerDependencies {
  readonly printerId: string;
  /** What a printer with this engine tells the backend of itself. */
  readonly capabilitiesOf: (engine: EngineCapabilities) => PrinterCapabilities;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told of every status of every print, and of the engine's state. */
  readonly onPrint?: (status: PrintStatus) => void;
  readonly onEngine?: (event: EngineEvent) => void;
}

/** Prints that may wait. */
const waitingMax = 100;
/** Ended prints whose status is still told: a repeat of one is not printed again. */
const endedMax = 1000;

const idPattern = /^[A-Za-z0-9_-]{1,64}$/;
const errorActions: readonly JobErrorAction[] = Object.values(JobErrorAction);

interface Entry {
  readonly record: PrintRecord;
  readonly stop: AbortController;
  /** Whoever watched has heard the end, or wanted to hear no more. */
  isTold: boolean;
}

async function* watchEntry(entry: Entry, signal: AbortSignal): AsyncGenerator<PrintStatus> {
  try {
    yield* entry.record.watch(signal);
  } finally {
    if (!signal.aborted) entry.isTold = true;
  }
}

type EngineState = Extract<EngineEvent, { kind: "stopped" | "ready" }>;

export class Printer implements AsyncDisposable {
  readonly printerId: string;
  readonly #deps: PrinterDependencies;
  /** By job id, in order of arrival. */
  readonly #prints = new Map<string, Entry>();
  readonly #muteEngine: () => void;
  #engine: EngineState = { kind: "ready" };
  #supplies: readonly Supply[] = [];
  #warnings: readonly PrinterStateReason[] = [];
  #revised = new AbortController();
  #current: Entry | undefined;
  /** Resolves when nothing is at the engine. */
  #running: Promise<void> | undefined;
  #closed = false;
  #paused = false;

  constructor(dependencies: PrinterDependencies) {
    this.#deps = dependencies;
    this.printerId = dependencies.printerId;
    this.#muteEngine = dependencies.driver.listen((event) => this.#hear(event));
  }

  get capabilities(): PrinterCapabilities {
    return this.#deps.capabilitiesOf(this.#deps.driver.capabilities);
  }

  /** Aborts when the capabilities are others than when it was asked for. */
  get revised(): AbortSignal {
    return this.#revised.signal;
  }

  /**
   * S1401: takes a print request. A repeat for a job that the printer has, or had a while ago, changes nothing and answers
   * with its status. Throws `invalid-argument`, or `unavailable` when too many wait, or the printer pauses or is being switched off.
   */
  submit(instruction: PrintInstruction): PrintStatus {
    const session = this.#check(instruction);
    const known = this.#prints.get(session.jobId);
    if (known) return known.record.status;
    if (this.#closed) throw new PlatenError("unavailable", "the printer is being switched off");
    if (this.#paused) throw new PlatenError("unavailable", "the printer is changing its software");
    if (this.#held().length > waitingMax) {
      throw new PlatenError("unavailable", `${waitingMax} prints are waiting already: try again later`);
    }
    const output = this.#deps.driver.outputLocation(session.jobId);
    const record = new PrintRecord(session, instruction, output);
    this.#prints.set(session.jobId, { record, stop: new AbortController(), isTold: false });
    void this.#tell(record);
    this.#forgetOldest();
    this.#running ??= this.#run();
    return record.status;
  }

  /** S1411, the user's cancel: the end follows in `watch`. Undefined when the job is not known. */
  cancel(jobId: string): PrintStatus | undefined {
    const entry = this.#prints.get(jobId);
    if (!entry) return undefined;
    if (entry === this.#current) entry.stop.abort(new PrintStop("user"));
    else entry.record.cancel(JobStateReason.JOB_CANCELED_BY_USER, "canceled by the user");
    return entry.record.status;
  }

  /** The print as it stands; undefined when the job is not known. */
  print(jobId: string): PrintStatus | undefined {
    return this.#prints.get(jobId)?.record.status;
  }

  /** The print's status now and at every change, up to its end. Throws `job-unknown`; see PrintRecord.watch. */
  watch(jobId: string, signal: AbortSignal): AsyncGenerator<PrintStatus> {
    const entry = this.#prints.get(jobId);
    if (!entry)
      throw new PlatenError("job-unknown", `printer ${this.printerId} knows nothing of job ${jobId}`);
    return watchEntry(entry, signal);
  }

  /** Whether everything that has ended has been told to whoever watched it. */
  get endsAreTold(): boolean {
    return [...this.#prints.values()].every(({ record, isTold }) => isTold || !record.ended);
  }

  /** Takes no more prints until what it gives is disposed of. */
  pause(): Disposable {
    this.#paused = true;
    return {
      [Symbol.dispose]: () => {
        this.#paused = false;
      },
    };
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** What the printer is doing. */
  status(): PrinterStatus {
    const stopped = this.#engine.kind === "stopped" ? this.#engine : undefined;
    const busy = this.#current ? PrinterState.PROCESSING : PrinterState.IDLE;
    return create(PrinterStatusSchema, {
      state: stopped ? PrinterState.STOPPED : busy,
      stateReasons: [
        ...new Set([...(stopped?.reasons ?? []), ...this.#warnings, ...supplyReasons(this.#supplies)]),
      ],
      message: stopped?.message ?? "",
      currentJobId: this.#current?.record.session.jobId ?? "",
      heldJobs: this.#held().length,
      markerSupplies: markerSupplies(this.#supplies),
      time: timestampFromMs(this.#deps.now()),
    });
  }

  /** Switches the printer off: takes no more, and gives up what it has without ending it, as a power cut would. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const { record, stop } of this.#held()) {
      stop.abort(new PrintStop("shutdown"));
      if (record !== this.#current?.record) record.giveUp();
    }
    await this.#running;
    this.#muteEngine();
  }

  #check({ session, metafileUrl, token, jobErrorAction }: PrintInstruction): SessionId {
    const refuse = (what: string): never => {
      throw new PlatenError("invalid-argument", `the print request is refused: ${what}`);
    };
    if (!session || !idPattern.test(session.jobId)) return refuse("its job id is not one");
    if (session.printerId !== this.printerId) {
      refuse(`it is for printer ${JSON.stringify(session.printerId)}, and this is ${this.printerId}`);
    }
    if (!/^https?:$/.test(URL.parse(metafileUrl)?.protocol ?? "")) {
      refuse("metafile_url is not an http or https URL");
    }
    if (!/^[\x21-\x7e]+$/.test(token)) refuse("its token is not one");
    if (!errorActions.includes(jobErrorAction)) refuse(`job_error_action ${jobErrorAction} is not known`);
    return session;
  }

  #held(): Entry[] {
    return [...this.#prints.values()].filter(({ record }) => !record.ended);
  }

  #forgetOldest(): void {
    const ended = [...this.#prints].filter(([, { record }]) => record.ended);
    for (const [jobId] of ended.slice(0, Math.max(0, ended.length - endedMax))) this.#prints.delete(jobId);
  }

  #next(): Entry | undefined {
    return this.#closed ? undefined : this.#held()[0];
  }

  async #run(): Promise<void> {
    for (let next = this.#next(); next; next = this.#next()) {
      this.#current = next;
      await runPrint(next.record, this.#deps, next.stop.signal);
    }
    this.#current = undefined;
    this.#running = undefined;
  }

  async #tell(record: PrintRecord): Promise<void> {
    const { onPrint } = this.#deps;
    if (!onPrint) return;
    try {
      for await (const status of record.watch(new AbortController().signal)) onPrint(status);
    } catch {
      // Given up: there is no more to tell.
    }
  }

  #hear(event: EngineEvent): void {
    if (event.kind === "stopped" || event.kind === "ready") this.#engine = event;
    if (event.kind === "supplies") this.#supplies = event.supplies;
    if (event.kind === "warnings") this.#warnings = event.reasons;
    if (event.kind === "capabilities") {
      this.#revised.abort();
      this.#revised = new AbortController();
    }
    this.#deps.onEngine?.(event);
  }
}
