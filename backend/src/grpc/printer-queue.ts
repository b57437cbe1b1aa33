/** PrinterQueueService: registration, and the queue of polling mode. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  bindService,
  type CallContext,
  PlatenError,
  PrinterQueueService,
  type ServiceHandlers,
} from "@platen/proto";
import type { Executors } from "../app/instructors.ts";
import { requestIds } from "../app/job-run.ts";
import type { PrintQueue } from "../app/print-queue.ts";
import type { Printers } from "../app/printers.ts";
import { parsePrinterId, parseSession } from "../domain/ids.ts";

export interface PrinterQueueDependencies {
  readonly printers: Printers;
  readonly queue: PrintQueue;
  /** Where a token is issued when a printer fetches its instruction. */
  readonly executors: Executors;
  /** Hand out URL and token over plaintext beyond the loopback. */
  readonly allowPlaintext: boolean;
  readonly now: () => number;
}

const pollWaitMaxMs = 30_000;

/** The same service, for a listener without TLS that takes nothing but polls ([0112]). */
export function pollOnlyService(deps: PrinterQueueDependencies) {
  const refuse = () => {
    throw new PlatenError(
      "plaintext-refused",
      "this address takes polls only: call the backend's TLS address for the rest",
    );
  };
  const { pollPrinterQueue } = handlers(deps);
  return bindService(PrinterQueueService, {
    pollPrinterQueue,
    registerPrinter: refuse,
    fetchPrintInstruction: refuse,
    reportPrint: refuse,
  });
}

export const printerQueueService = (deps: PrinterQueueDependencies) =>
  bindService(PrinterQueueService, handlers(deps));

function handlers(deps: PrinterQueueDependencies): ServiceHandlers<typeof PrinterQueueService> {
  const { printers, queue, executors, allowPlaintext, now } = deps;

  /** [0112]: URL and token travel over TLS alone, but for the loopback or by flag. */
  const requireTls = ({ secure, loopback }: CallContext) => {
    if (secure || loopback || allowPlaintext) return;
    throw new PlatenError(
      "plaintext-refused",
      "print instructions are handed out over TLS only: poll here if you like, but fetch over TLS",
    );
  };

  return {
    registerPrinter: async (request, { loopback }) => {
      if (!request.capabilities) throw new PlatenError("invalid-argument", "capabilities are missing");
      const { capabilities, mode, address, enrolmentKey, printerKey, status } = request;
      const printerId = parsePrinterId(request.printerId);
      const key = await printers.register({
        printerId,
        capabilities,
        mode,
        address,
        enrolmentKey,
        printerKey,
        status,
        loopback,
      });
      return { printerKey: key, pollWaitMaxMs };
    },
    pollPrinterQueue: async (request, context) => {
      const printerId = parsePrinterId(request.printerId);
      await printers.authenticate(printerId, context.header("authorization"), "poll");
      await printers.seen(printerId, request.status);
      const waitMs = Math.min(request.waitMs, pollWaitMaxMs);
      const { ready, cancel } = await queue.poll(
        printerId,
        new Set(request.heldJobIds),
        waitMs,
        context.signal,
      );
      return { ready: [...ready], cancel: [...cancel], serverTime: timestampFromMs(now()) };
    },
    fetchPrintInstruction: async (request, context) => {
      requireTls(context);
      const session = parseSession(request.session);
      await printers.authenticate(session.printerId, context.header("authorization"));
      const requestId = requestIds(session.jobId).token;
      const { token } = await executors.requestToken({ requestId, session }, { signal: context.signal });
      return { instruction: await queue.fetch(session, token) };
    },
    reportPrint: async (request, context) => {
      if (!request.status) throw new PlatenError("invalid-argument", "status is missing");
      const session = parseSession(request.status.session);
      await printers.authenticate(session.printerId, context.header("authorization"));
      await printers.heard(session.printerId, request.status);
      return { cancelRequested: await queue.report(session, request.status) };
    },
  };
}
