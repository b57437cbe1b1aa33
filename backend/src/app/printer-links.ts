/** S109 and S110 for both modes of a printer: hand it a print, and hear of it until it ends. */
import { setTimeout as delay } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Connection,
  hasCode,
  PlatenError,
  type PrintInstruction,
  PrinterMode,
  PrinterService,
  type PrintStatus,
  type RegisteredPrinter,
} from "@platen/proto";
import { endingOf } from "../domain/endings.ts";
import type { Session } from "../domain/ids.ts";
import type { PrintQueue } from "./print-queue.ts";
import type { Printers } from "./printers.ts";
import { backoffMs } from "./retry.ts";

export type PrintNews =
  | { readonly kind: "status"; readonly status: PrintStatus }
  /** The printer does not answer; it is tried again until patience ends. */
  | { readonly kind: "unreachable"; readonly message: string };

export interface PrinterLinksDependencies {
  readonly printers: Printers;
  readonly queue: PrintQueue;
  /** Opens a connection to a printer in push mode; throws `plaintext-refused` where TLS is due. */
  readonly connectPrinter: (address: string) => Connection;
  /** How long a printer may be out of reach. */
  readonly patienceMs: number;
  readonly now: () => number;
}

/** A polling printer that has not been heard of for so long is out of reach. */
const silenceMs = 60_000;

export class PrinterLinks {
  readonly #deps: PrinterLinksDependencies;
  constructor(dependencies: PrinterLinksDependencies) {
    this.#deps = dependencies;
  }

  /**
   * Prints, and yields what becomes of it up to and including the end. May be called again for a print that is under way
   * (after a crash): it then goes on hearing of it. Throws `printer-unreachable` when patience ends.
   */
  async *print(
    session: Session,
    instruction: PrintInstruction,
    signal: AbortSignal,
  ): AsyncIterable<PrintNews> {
    const printer = await this.#printer(session);
    yield* printer.mode === PrinterMode.POLL
      ? this.#poll(session, instruction, signal)
      : this.#push(session, instruction, signal);
  }

  /** Asks the printer to stop; it says in `print` when it has. A printer out of reach is not waited for. */
  async cancel(session: Session, signal: AbortSignal): Promise<void> {
    const printer = await this.#printer(session);
    if (printer.mode === PrinterMode.POLL) return this.#deps.queue.requestCancel(session);
    using connection = this.#deps.connectPrinter(printer.address);
    await connection.client(PrinterService).cancelPrint({ session }, { signal, timeoutMs: 5000 });
  }

  /** Nothing of the print remains on this side. */
  async release(session: Session): Promise<void> {
    await this.#deps.queue.remove(session);
  }

  async #printer({ printerId }: Session): Promise<RegisteredPrinter> {
    const printer = await this.#deps.printers.get(printerId);
    if (!printer) throw new PlatenError("printer-unknown", `no printer named ${printerId} has registered`);
    return printer;
  }

  async *#poll(
    session: Session,
    instruction: PrintInstruction,
    signal: AbortSignal,
  ): AsyncIterable<PrintNews> {
    const { queue } = this.#deps;
    await queue.add(instruction, session);
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    const statuses = queue.watch(session, either)[Symbol.asyncIterator]();
    const startedMs = this.#deps.now();
    let next = statuses.next();
    let reachable = true;
    try {
      for (;;) {
        const news = await Promise.race([next, delay(silenceMs / 4, "silence" as const, { signal: either })]);
        if (news === "silence") {
          const seen = (await this.#printer(session)).seenTime;
          const silentMs = this.#deps.now() - Math.max(seen ? timestampMs(seen) : 0, startedMs);
          this.#expectPatience(session, silentMs);
          if (reachable && silentMs > silenceMs) {
            reachable = false;
            yield unreachable(session, "has not asked for its jobs for a minute");
          }
          continue;
        }
        if (news.done) return;
        next = statuses.next();
        if (!news.value) continue;
        reachable = true;
        yield { kind: "status", status: news.value };
        if (endingOf(news.value)) return;
      }
    } finally {
      over.abort();
    }
  }

  async *#push(
    session: Session,
    instruction: PrintInstruction,
    signal: AbortSignal,
  ): AsyncIterable<PrintNews> {
    let sheets = instruction.mediaSheetsCompleted;
    let silentSinceMs: number | undefined;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        // A printer that restarted may have another address by now, and has forgotten the print: it is handed over again.
        using connection = this.#deps.connectPrinter((await this.#printer(session)).address);
        const printer = connection.client(PrinterService);
        await printer.print(
          { instruction: { ...instruction, mediaSheetsCompleted: sheets } },
          { signal, timeoutMs: 15_000 },
        );
        silentSinceMs = undefined;
        for await (const { status } of printer.watchPrint({ session }, { signal })) {
          if (!status) continue;
          attempt = 1;
          sheets = Math.max(sheets, status.mediaSheetsCompleted);
          await this.#deps.printers.heard(session.printerId, status);
          yield { kind: "status", status };
          if (endingOf(status)) return;
        }
      } catch (error) {
        if (signal.aborted || !hasCode(error, "unavailable", "deadline-exceeded", "job-unknown")) throw error;
        if (silentSinceMs === undefined) yield unreachable(session, (error as PlatenError).message);
        silentSinceMs ??= this.#deps.now();
        this.#expectPatience(session, this.#deps.now() - silentSinceMs);
      }
      await delay(backoffMs(attempt + 1), undefined, { signal });
    }
  }

  #expectPatience({ printerId }: Session, silentMs: number): void {
    if (silentMs <= this.#deps.patienceMs) return;
    throw new PlatenError(
      "printer-unreachable",
      `printer ${printerId} has been out of reach for ${Math.round(silentMs / 60_000)} minutes`,
    );
  }
}

const unreachable = ({ printerId }: Session, why: string): PrintNews => ({
  kind: "unreachable",
  message: `printer ${printerId} is out of reach and will be tried again: ${why}`,
});
