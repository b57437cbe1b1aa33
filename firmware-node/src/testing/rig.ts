/** A printer with a simulated engine whose sheets are kept, and a result store with real HTTP between them. */
import { create } from "@bufbuild/protobuf";
import { EngineModel, type EngineModelOptions } from "@platen/hw";
import { JobState, PrinterCapabilitiesSchema, type PrintInstruction, type PrintStatus } from "@platen/proto";
import { expect } from "vitest";
import { sharpDecoder } from "../adapters/decode.ts";
import { HttpFetch } from "../adapters/http-fetch.ts";
import { readKernel } from "../adapters/kernel-files.ts";
import { bakeInkTable } from "../adapters/bake-table.ts";
import { SimulatedEngine } from "../adapters/simulated-engine.ts";
import { ThreadedDots } from "../adapters/threaded-dots.ts";
import { Printer } from "../app/printer.ts";
import { InkTables, type MediaInks } from "../color/ink-choice.ts";
import type { EngineDriver } from "../ports/engine-driver.ts";
import {
  type InstructionInit,
  instructionFor,
  type ResultServer,
  type ResultServerOptions,
  startResultServer,
} from "./result-server.ts";

export interface RigOptions extends ResultServerOptions {
  readonly engine?: EngineModelOptions;
  /** An engine in place of the simulated one. */
  readonly driver?: EngineDriver;
  /** Default: ideal ones. */
  readonly inks?: MediaInks;
  readonly duplex?: boolean;
  readonly faultTimeoutMs?: number;
  readonly patienceMs?: number;
  /** Operations of the test's own in place of the simulated engine's. */
  readonly overrides?: (driver: EngineDriver) => Partial<EngineDriver>;
}

export interface Rig extends AsyncDisposable {
  readonly server: ResultServer;
  readonly model: EngineModel;
  readonly printer: Printer;
  readonly dotMaker: AsyncDisposable;
  /** A print request for `jobId`, by default "job-1". */
  instruction(init?: InstructionInit & { jobId?: string }): PrintInstruction;
  /** Submits the job (or another instruction) and resolves to every status that was seen, the last one its end. */
  print(instruction?: PrintInstruction): Promise<PrintStatus[]>;
}

/** Statuses up to the end of a print. */
export async function statusesOf(printer: Printer, jobId: string): Promise<PrintStatus[]> {
  const statuses: PrintStatus[] = [];
  for await (const status of printer.watch(jobId, new AbortController().signal)) statuses.push(status);
  return statuses;
}

/** Resolves to the first status that `wanted` accepts. */
export async function statusWhere(
  printer: Printer,
  jobId: string,
  wanted: (status: PrintStatus) => boolean,
): Promise<PrintStatus> {
  for await (const status of printer.watch(jobId, new AbortController().signal))
    if (wanted(status)) return status;
  throw new Error(`job ${jobId} ended before it was as wanted`);
}

export const stopped = (status: PrintStatus): boolean => status.state === JobState.PROCESSING_STOPPED;

const delegate = (driver: EngineDriver): EngineDriver => ({
  capabilities: driver.capabilities,
  outputLocation: (jobId) => driver.outputLocation(jobId),
  startJob: (job, signal) => driver.startJob(job, signal),
  startPage: (page, signal) => driver.startPage(page, signal),
  writeBand: (band, signal) => driver.writeBand(band, signal),
  endPage: (signal) => driver.endPage(signal),
  endJob: (signal) => driver.endJob(signal),
  abort: () => driver.abort(),
  listen: (listener) => driver.listen(listener),
  [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
});

export async function startRig(options: RigOptions): Promise<Rig> {
  const {
    engine = {},
    inks = {},
    duplex = true,
    faultTimeoutMs = 20_000,
    patienceMs = 20_000,
    overrides,
  } = options;
  await using made = new AsyncDisposableStack();
  const dotMaker = made.use(new ThreadedDots({ wasm: await readKernel() }));
  const server = made.use(await startResultServer(options));
  const model = new EngineModel({ keepSheets: true, ...engine });
  const simulated = new SimulatedEngine(model, {
    makeAndModel: "test engine",
    colorants: model.inks,
    resolutionsDpi: [300, 600],
    duplex,
  });
  const overridden = overrides ? { ...delegate(simulated), ...overrides(simulated) } : simulated;
  const driver = made.use(options.driver ?? overridden);
  const store = made.use(new HttpFetch({ tls: {}, allowPlaintext: false }));
  const printer = made.use(
    new Printer({
      printerId: options.printerId ?? "printer-1",
      capabilitiesOf: () => create(PrinterCapabilitiesSchema, {}),
      driver,
      store,
      decoder: sharpDecoder,
      dotMaker,
      inkTables: new InkTables(() => inks, bakeInkTable),
      faultTimeoutMs,
      patienceMs,
      now: Date.now,
    }),
  );
  const instruction: Rig["instruction"] = ({ jobId = "job-1", ...init } = {}) =>
    instructionFor(server, jobId, { session: { jobId, printerId: printer.printerId }, ...init });
  const resources = made.move();
  return {
    server,
    model,
    printer,
    dotMaker,
    instruction,
    async print(given = instruction()) {
      printer.submit(given);
      return statusesOf(printer, given.session!.jobId);
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** A promise that the test settles. */
export const gate = () => Promise.withResolvers<void>();

/** How a print ended. */
export const last = (statuses: readonly PrintStatus[]): PrintStatus => statuses.at(-1)!;

/** That a job went wrong leaves the printer ready for the next one. */
export async function expectNextJobPrints(rig: Rig): Promise<void> {
  const status = last(await rig.print(rig.instruction({ jobId: "job-2" })));
  expect(status.message).toMatch(/^printed/);
}
