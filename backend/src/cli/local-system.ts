/** A whole system for one command: the backend in this process on embedded storage, and a printer beside it. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clientCredentials, connect, IntakeService, type PlatenError } from "@platen/proto";
import { parseBackendConfig } from "../config.ts";
import type { IntakeClient } from "./connection.ts";
import { interruption } from "./exit.ts";
import { startPrinter } from "./printer-process.ts";

export interface LocalSystem extends AsyncDisposable {
  readonly intake: IntakeClient;
  readonly printerId: string;
  /** Where the sheets of a job lie. */
  sheetsOf(jobId: string): string;
  /** Rejects when the printer is lost. */
  readonly failed: Promise<never>;
}

export interface LocalSystemOptions {
  /** Where the sheets go, a folder a job: the whole path of a folder that is there. */
  readonly outDir: string;
  readonly color: boolean;
  readonly executors: number;
  /** Told of errors that nobody foresaw. */
  readonly log: (error: PlatenError) => void;
  readonly signal: AbortSignal;
}

const printerId = "local";

/** Starts it, and resolves when the printer is ready. Nothing but the sheets remains when it is disposed. */
export async function startLocalSystem(options: LocalSystemOptions): Promise<LocalSystem> {
  const { outDir, color, executors, log, signal } = options;
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "platen-"));
  stack.defer(() => rm(dir, { recursive: true, force: true }));

  const enrolmentKey = randomBytes(32).toString("base64url");
  const config = parseBackendConfig({
    listen: "127.0.0.1:0",
    httpListen: "127.0.0.1:0",
    dataDir: join(dir, "data"),
    tempDir: join(dir, "work"),
    executors,
    enrolmentKey,
    // The user of this machine asks, and may reach what is on it anyway.
    downloadAllowPrivate: true,
  });
  // Only commands that run a backend load it.
  const { startBackend } = await import("../compose.ts");
  const backend = stack.use(await startBackend(config, { log }));
  signal.throwIfAborted();
  const printer = stack.use(
    startPrinter({
      printerId,
      backend: backend.grpcAddress,
      outDir,
      color,
      stateDir: join(dir, "printer"),
      enrolmentKey,
    }),
  );
  await Promise.race([printer.registered, rejectOnAbort(signal)]);
  const connection = stack.use(connect(backend.grpcAddress, clientCredentials({}, false)));
  const running = stack.move();
  return {
    intake: connection.client(IntakeService),
    printerId,
    sheetsOf: (jobId) => join(outDir, jobId),
    failed: printer.failed,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

export const rejectOnAbort = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const stop = () => reject(interruption());
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
