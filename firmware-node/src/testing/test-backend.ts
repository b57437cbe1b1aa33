/** The printer-facing side of a backend over real gRPC: it keeps what printers say, and offers them what the test says. */
import {
  bindService,
  type CallContext,
  PlatenError,
  type PollPrinterQueueRequest,
  PrinterQueueService,
  type PrintInstruction,
  type PrintStatus,
  type RegisterPrinterRequest,
  type RunningServer,
  serve,
  serverCredentials,
  type TlsMaterial,
} from "@platen/proto";

export interface SeenPoll {
  readonly request: PollPrinterQueueRequest;
  readonly authorization: string | undefined;
  readonly secure: boolean;
}

const jobIdOf = (of: { session?: { jobId: string } | undefined }): string => of.session?.jobId ?? "";

export class TestBackend implements AsyncDisposable {
  readonly registrations: RegisterPrinterRequest[] = [];
  readonly polls: SeenPoll[] = [];
  readonly fetches: { jobId: string; secure: boolean }[] = [];
  readonly reports: PrintStatus[] = [];
  /** What registering throws. */
  refusal: PlatenError | undefined;
  /** The key that the printer registered with; calls with another one are refused. */
  printerKey = "";
  /** A backend of an earlier version makes keys itself: this one. */
  ownKey: string | undefined;
  /** Says in polls that these are to be canceled. */
  readonly cancelHints = new Set<string>();
  /** Says in answers to reports that these are to be canceled. */
  readonly cancels = new Set<string>();

  readonly #offers = new Map<string, PrintInstruction>();
  readonly #servers: RunningServer[] = [];
  #changed = Promise.withResolvers<void>();

  /** Serves at another address too, or again. Resolves to the address. */
  async listen(address = "127.0.0.1:0", tls: TlsMaterial = {}): Promise<string> {
    const service = bindService(PrinterQueueService, {
      registerPrinter: (request) => {
        this.registrations.push(request);
        this.#wake();
        if (this.refusal) throw this.refusal;
        this.printerKey = this.ownKey ?? request.printerKey;
        return {
          printerKey: this.printerKey === request.printerKey ? "" : this.printerKey,
          pollWaitMaxMs: 5000,
        };
      },
      pollPrinterQueue: async (request, context) => {
        this.polls.push({ request, authorization: context.header("authorization"), secure: context.secure });
        this.#wake();
        const answer = () => {
          const ready = [...this.#offers.values()].filter(
            (one) => !request.heldJobIds.includes(jobIdOf(one)),
          );
          const cancel = [...this.cancelHints].filter((jobId) => request.heldJobIds.includes(jobId));
          return { ready: ready.map(({ session }) => session!), cancel: cancel.map((jobId) => ({ jobId })) };
        };
        while (!context.signal.aborted) {
          const { ready, cancel } = answer();
          if (ready.length || cancel.length) return { ready, cancel };
          await Promise.race([this.#changed.promise, aborted(context.signal)]);
        }
        return {};
      },
      fetchPrintInstruction: (request, context) => {
        this.#authenticate(context);
        this.fetches.push({ jobId: jobIdOf(request), secure: context.secure });
        const instruction = this.#offers.get(jobIdOf(request));
        if (!instruction) throw new PlatenError("job-unknown", "nothing waits");
        return { instruction };
      },
      reportPrint: ({ status }, context) => {
        this.#authenticate(context);
        this.reports.push(status!);
        if (status!.state >= 7) this.#offers.delete(jobIdOf(status!));
        this.#wake();
        return { cancelRequested: this.cancels.has(jobIdOf(status!)) };
      },
    });
    const server = await serve([service], { address, credentials: serverCredentials(tls) });
    this.#servers.push(server);
    return server.address;
  }

  /** Makes a print ready. */
  offer(instruction: PrintInstruction): void {
    this.#offers.set(jobIdOf(instruction), instruction);
    this.#wake();
  }

  /** Lets waiting polls look again. */
  nudge(): void {
    this.#wake();
  }

  /** Resolves when the condition holds; it is looked at after every call. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed.promise;
  }

  /** Resolves to the first report of the job that `wanted` accepts. */
  async reported(jobId: string, wanted: (status: PrintStatus) => boolean): Promise<PrintStatus> {
    const find = () => this.reports.find((status) => jobIdOf(status) === jobId && wanted(status));
    await this.until(() => find() !== undefined);
    return find()!;
  }

  /** Goes away, as a crash would. */
  async stop(): Promise<void> {
    await Promise.all(this.#servers.splice(0).map((server) => server[Symbol.asyncDispose]()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #authenticate(context: CallContext): void {
    if (context.header("authorization") === `Bearer ${this.printerKey}`) return;
    throw new PlatenError("unauthenticated", "the key is wrong");
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
