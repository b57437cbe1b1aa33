/** The job controller in this process, and the reaper beside it. */
import {
  type Connection,
  ConversionInstructorService,
  clientCredentials,
  connect,
  DownloadInstructorService,
  PlatenError,
  requireTlsUnlessLoopback,
} from "@platen/proto";
import { Controller } from "../app/controller.ts";
import type { Documents } from "../app/documents.ts";
import type { Executors } from "../app/instructors.ts";
import type { Intake } from "../app/intake.ts";
import type { Jobs } from "../app/jobs.ts";
import type { PrintQueue } from "../app/print-queue.ts";
import { PrinterLinks } from "../app/printer-links.ts";
import type { Printers } from "../app/printers.ts";
import { Reaper } from "../app/reaper.ts";
import type { WorkQueue } from "../ports/work-queue.ts";
import { balanced, type Shared } from "./shared.ts";

/** What the controller has in common with the services of its process. */
export interface ControllerParts {
  readonly jobs: Jobs;
  readonly printers: Printers;
  readonly queue: PrintQueue;
  readonly documents: Documents;
  readonly intake: Intake;
  readonly instructions: WorkQueue;
  readonly executors: Executors;
}

/** Takes jobs until the backend drains or is disposed. */
export function startController(shared: Shared, parts: ControllerParts): void {
  const { config, tls, log, now } = shared;
  const { jobs, printers, queue, documents, intake, instructions, executors } = parts;
  const instructors = balanced(shared, "instructors");
  const connectPrinter = (address: string): Connection => {
    requireTlsUnlessLoopback(address, shared.secure, config.allowPlaintext, "--allow-plaintext");
    return connect(address, clientCredentials(tls, shared.secure));
  };
  const links = new PrinterLinks({
    printers,
    queue,
    connectPrinter,
    patienceMs: config.printerPatienceMs,
    now,
  });
  const controller = new Controller({
    instructions,
    jobs,
    documents,
    printers,
    links,
    executors,
    now,
    log,
    downloadInstructor: instructors.client(DownloadInstructorService),
    conversionInstructor: instructors.client(ConversionInstructorService),
    leaseMs: config.jobLeaseMs,
    cancelPatienceMs: config.cancelPatienceMs,
  });
  const reaper = new Reaper({
    stores: shared.stores,
    jobs,
    intake,
    documents,
    executors,
    now,
    graceMs: config.reapGraceMs,
    log,
  });
  startLoops(shared, [
    (signal) => controller.run(signal),
    (signal) => reaper.run(config.reapIntervalMs, signal),
  ]);
}

/** Runs loops until the backend drains or is disposed. */
function startLoops(shared: Shared, loops: readonly ((signal: AbortSignal) => Promise<void>)[]): void {
  const stop = new AbortController();
  const running = loops.map((loop) =>
    loop(stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted) shared.log(error as PlatenError);
    }),
  );
  const end = async () => {
    stop.abort(new PlatenError("canceled", "the backend is shutting down"));
    await Promise.all(running);
  };
  shared.stack.defer(end);
  shared.draining.unshift(end);
}
