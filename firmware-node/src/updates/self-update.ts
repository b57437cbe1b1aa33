/** The part of a printer that keeps its own software current, where a launcher started it. */
import { type Connection, hasCode, PrinterStateReason, PrinterUpdateService } from "@platen/proto";
import type { HttpFetch } from "../adapters/http-fetch.ts";
import { sleep } from "../app/backoff.ts";
import type { Printer } from "../app/printer.ts";
import { Board } from "./board.ts";
import { type Check, Health, type Supervision } from "./supervised.ts";
import { SystemLink } from "./system-link.ts";
import { Updater } from "./updater.ts";

export interface SelfUpdateOptions {
  readonly supervision: Supervision;
  readonly printer: Printer;
  readonly connection: Connection;
  /** Resolves when the backend knows the printer. */
  readonly registered: Promise<void>;
  readonly printerKey: () => string;
  readonly fetch: Pick<HttpFetch, "getFrom">;
  /** What the board is, and where it takes its updates. */
  readonly updateBoard: string;
  readonly updateChannel: string;
  /** Prints the test pattern to nowhere; only called before anything is printed. */
  readonly renderPattern: (signal: AbortSignal) => Promise<void>;
  readonly onStep: (message: string) => void;
}

export interface SelfUpdate extends AsyncDisposable {
  /** Resolves when the printer should be started anew: another version waits to be tried. */
  readonly restart: Promise<void>;
}

/** Between looks at whether the engine is there, milliseconds. */
const engineCheckMs = 500;

/** On trial, be it the app or the system below, renders the test pattern first, and throws when it does not come out right: then this version is not to be kept. */
export async function startSelfUpdate(options: SelfUpdateOptions): Promise<SelfUpdate> {
  const { supervision, printer, connection, updateBoard: boardName, updateChannel: channel } = options;
  const board = new Board(supervision.root);
  const off = new AbortController();
  const slot = supervision.trial ? await board.trying() : await board.current();
  const link = new SystemLink();
  const below = await link.status();
  const report = (missing: readonly Check[]) => {
    // For whoever asks why the trial failed; it is judged without.
    link.report(missing).catch(() => {});
  };
  const health = below?.trial ? new Health(report) : supervision.trial ? new Health() : undefined;
  if (health) {
    await options.renderPattern(off.signal);
    health.passed("pattern");
  }
  const engineSeen = health && seeEngine(printer, health, off.signal);
  const updater = new Updater({
    ...options,
    board,
    health,
    system: below && { link, atStart: below },
    boardName,
    channel,
    version: slot?.manifest.version ?? "0.0.0",
    client: connection.client(PrinterUpdateService),
    nowMs: () => performance.now(),
  });
  const restart = Promise.withResolvers<void>();
  const running = options.registered
    .then(() => updater.run(off.signal))
    .then(restart.resolve, (error: unknown) => {
      if (!off.signal.aborted && !hasCode(error, "canceled"))
        options.onStep(`updates have ended: ${String(error)}`);
    });
  return {
    restart: restart.promise,
    [Symbol.asyncDispose]: async () => {
      off.abort();
      await Promise.allSettled([running, engineSeen]);
    },
  };
}

async function seeEngine(printer: Printer, health: Health, signal: AbortSignal): Promise<void> {
  while (printer.status().stateReasons.includes(PrinterStateReason.ENGINE_OFFLINE)) {
    await sleep(engineCheckMs, signal);
  }
  health.passed("engine");
}
