/** The emulated board on its stand: a card, a backend, an engine, and hands to pull cables and cut the power. */
import { execFile } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { type JobEvent, JobState, PrinterState, type RegisteredPrinter, UpdatePhase } from "@platen/proto";
import { EmulatedBoard } from "../../hw/flash/src/emulate.ts";
import { type Backend, enrolmentKey, hostAsSeenByBoard, startBackend } from "./backend.ts";
import { stateName } from "../../backend/src/domain/job.ts";
import { document, dpi, media } from "./document.ts";
import { SocketEngine } from "./engine.ts";
import { Failed } from "./failed.ts";
import { type MachineKind, machines, type TraySheet } from "./machines.ts";
import { runProgram } from "./processes.ts";
import { Releases } from "./releases.ts";
import { difference, printedHere } from "./sheets.ts";

/** QEMU's adaptor is one of FTDI's. */
const adaptor = "usb-0403-6001";

/** A card of 2 GB: larger than the image, so that its data partition has to grow. */
const cardBytes = 2e9;

/** A machine that does much else takes so long at most to start an emulated board, or to print on it. */
export const patienceMs = 10 * 60_000;
/** How long a board is asked what went wrong. */
const wreckageMs = 60_000;

/** A system is fetched, checked, written, read back, and started. */
export const systemPatienceMs = 3 * patienceMs;

/** Of a job that is printed here, sheets. */
const sheetsMax = 3;

export interface StandOptions {
  readonly image: string;
  /** Of the app and the system in it, and the release key that it trusts: files. */
  readonly bundle: string;
  readonly systemBundle: string;
  readonly key: string;
  /** What prints. */
  readonly engine: MachineKind;
  /** Where the console's log and the report go. */
  readonly out: string;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface PowerOptions {
  /** What the clock stands at, for `-rtc base=`; default: the right time. */
  readonly clock?: string;
  /** The engine's cable is not in. */
  readonly unplugged?: boolean;
  /** The board has a watchdog. */
  readonly watchdog?: boolean;
}

/** A job that has ended. */
export interface Printed {
  readonly jobId: string;
  readonly sheets: readonly TraySheet[];
  readonly events: readonly JobEvent[];
  readonly tookS: number;
}

export class Stand implements AsyncDisposable {
  readonly backend: Backend;
  readonly engine: SocketEngine;
  readonly releases: Releases;
  readonly signal: AbortSignal;
  readonly #stack: AsyncDisposableStack;
  readonly #options: StandOptions;
  readonly #folder: string;
  readonly #console: (line: string) => void;
  #expected: readonly TraySheet[] | undefined;
  #board: EmulatedBoard | undefined;
  #onSinceMs = 0;
  #starts = 0;
  #hasCard = false;
  #cards = 0;
  #hasShell = false;
  #versions = 0;
  #systems: Promise<Releases> | undefined;

  private constructor(parts: {
    stack: AsyncDisposableStack;
    options: StandOptions;
    folder: string;
    backend: Backend;
    engine: SocketEngine;
    releases: Releases;
    console: (line: string) => void;
  }) {
    this.#stack = parts.stack;
    this.#options = parts.options;
    this.#folder = parts.folder;
    this.backend = parts.backend;
    this.engine = parts.engine;
    this.releases = parts.releases;
    this.signal = parts.options.signal;
    this.#console = parts.console;
  }

  static async open(options: StandOptions): Promise<Stand> {
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "platen-stand-"));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    await mkdir(options.out, { recursive: true });
    const log = createWriteStream(join(options.out, "backend.log"));
    stack.defer(() => void log.end());
    const consoleLog = createWriteStream(join(options.out, "console.log"));
    stack.defer(() => void consoleLog.end());
    const backend = stack.use(
      await startBackend(folder, hostAsSeenByBoard, (line) => void log.write(`${line}\n`)),
    );
    const engine = stack.use(
      await SocketEngine.listen(join(folder, "engine.sock"), machines[options.engine]),
    );
    const releases = stack.use(await Releases.open(options.bundle, options.key, folder));
    const write = (line: string) => void consoleLog.write(`${line}\n`);
    return new Stand({ stack: stack.move(), options, folder, backend, engine, releases, console: write });
  }

  /** A card that nobody has started yet is another printer: the backend keeps a name for the key that it came with. */
  get #printerId(): string {
    return `board-${this.#cards}`;
  }

  get card(): string {
    return join(this.#folder, "card.img");
  }

  /** The settings that a right platen.toml holds. */
  get settings(): string {
    return [
      "[printer]",
      `id = "${this.#printerId}"`,
      `media = ["${media}"]`,
      `resolution = ${dpi}`,
      "[backend]",
      `address = "${hostAsSeenByBoard}:${this.backend.port}"`,
      `enrolment_key = "${enrolmentKey}"`,
      `ca = """\n${this.backend.ca}"""`,
      "[engine]",
      `port = "${adaptor}"`,
      "baud = 3000000",
      "[network]",
      `hostname = "emulated"`,
      "",
    ].join("\n");
  }

  /** A fresh card: the image as it was built, without settings. */
  async blankCard(): Promise<void> {
    await this.cutPower();
    await rm(this.card, { force: true });
    await copySparse(this.#options.image, this.card, this.signal);
    await truncate(this.card, cardBytes);
    this.#cards++;
    this.#hasCard = true;
  }

  /** A fresh card with the right settings. */
  async newCard(): Promise<void> {
    await this.blankCard();
    await this.provision(this.settings);
  }

  /** Whether a board has been started with the card that there is, or could be. */
  get hasCard(): boolean {
    return this.#hasCard;
  }

  /** Puts settings onto the card, as a maker would. */
  async provision(settings: string): Promise<void> {
    const file = join(this.#folder, "platen.toml");
    await writeFile(file, settings, { mode: 0o600 });
    await runProgram("hw/flash/main.ts", ["provision", this.card, "--file", file], { signal: this.signal });
  }

  get board(): EmulatedBoard {
    if (!this.#board) throw new Failed("the board is off");
    return this.#board;
  }

  async powerOn({ clock, unplugged = false, watchdog = false }: PowerOptions = {}): Promise<void> {
    await this.cutPower();
    this.#console(`==== start ${++this.#starts} at ${new Date().toISOString()}`);
    this.#onSinceMs = Date.now();
    this.#board = await EmulatedBoard.start({
      image: this.card,
      engineSocket: this.engine.path,
      unplugged,
      watchdog,
      shell: true,
      clock,
      onLine: (line) => this.#console(line),
      signal: this.signal,
    });
  }

  /** As pulling the plug: what the board has not written is lost. */
  async cutPower(): Promise<void> {
    const board = this.#board;
    this.#board = undefined;
    this.#hasShell = false;
    await board?.[Symbol.asyncDispose]();
  }

  /** Cuts the power, and throws the card away. */
  async discard(): Promise<void> {
    await this.cutPower();
    this.#hasCard = false;
  }

  /** Presses the power button, and waits until the board has shut down. */
  async powerDown(): Promise<void> {
    const isDown = this.board.powerDown().then(() => true);
    isDown.catch(() => {});
    const signal = AbortSignal.any([this.signal, AbortSignal.timeout(patienceMs)]);
    const went = await Promise.race([isDown, delay(patienceMs, false, { signal }).catch(() => false)]);
    await this.cutPower();
    this.signal.throwIfAborted();
    if (!went) throw new Failed("the board did not shut down when its power button was pressed");
  }

  /** A board that is on and ready, whatever was before. */
  async readyBoard(): Promise<void> {
    if (!this.#hasCard) await this.newCard();
    if (!this.#board) await this.powerOn();
    await this.ready();
  }

  /** Waits for what `see` gives of the printer as the backend shows it since the board was switched on. */
  async seen<T>(
    what: string,
    see: (printer: RegisteredPrinter) => T | undefined,
    limitMs = patienceMs,
  ): Promise<T> {
    const limit = AbortSignal.timeout(limitMs);
    const signal = AbortSignal.any([limit, this.signal]);
    let last: RegisteredPrinter | undefined;
    try {
      for (;;) {
        last = await this.backend.printer(this.#printerId);
        const seenMs = last?.seenTime ? Number(last.seenTime.seconds) * 1000 : 0;
        const found = last && seenMs >= this.#onSinceMs - 1000 ? see(last) : undefined;
        if (found !== undefined) return found;
        await delay(500, undefined, { signal });
      }
    } catch (error) {
      if (!limit.aborted) throw error;
      throw new Failed(
        `${limitMs / 1000} s went by, and the printer was not seen ${what}; last: ${last ? JSON.stringify({ ...last.status, $typeName: undefined, update: last.update, system: last.system }, replaceBig) : "never"}`,
        { cause: error },
      );
    }
  }

  /** Resolves to the seconds since the board was switched on, when the backend shows it ready to print. */
  async ready(): Promise<number> {
    await this.seen("ready", ({ status }) => (status?.state === PrinterState.IDLE ? true : undefined));
    return (Date.now() - this.#onSinceMs) / 1000;
  }

  /** Of the app that runs, as the backend shows it. */
  version(): Promise<string> {
    return this.seen("with a version", ({ update }) => update?.version || undefined);
  }

  /** Waits until a version has proved itself, and runs. */
  async running(version: string): Promise<void> {
    await this.seen(`running ${version}`, ({ update }) =>
      update?.version === version && update.phase === UpdatePhase.UP_TO_DATE ? true : undefined,
    );
  }

  /** Of the system, made when they are first asked for: they are large. */
  systems(): Promise<Releases> {
    const { systemBundle, key } = this.#options;
    this.#systems ??= Releases.open(systemBundle, key, this.#folder).then((made) => this.#stack.use(made));
    return this.#systems;
  }

  /** Of the system that runs, as the backend shows it. */
  systemVersion(): Promise<string> {
    return this.seen("with a system", ({ system }) => system?.version || undefined);
  }

  /** The board has started again by itself: its shell is another. */
  restarted(): void {
    this.#hasShell = false;
  }

  /** Waits until a system has proved itself, and runs. The board has started again for it. */
  async systemRunning(version: string): Promise<void> {
    this.restarted();
    const isIt = ({ system }: RegisteredPrinter) =>
      system?.version === version && system.phase === UpdatePhase.UP_TO_DATE ? true : undefined;
    await this.seen(`running system ${version}`, isIt, systemPatienceMs);
  }

  /** Waits until a system was tried and given up. Resolves to why. The board has started again since. */
  async systemGivenUp(version: string): Promise<string> {
    const why = ({ system }: RegisteredPrinter) =>
      system?.phase === UpdatePhase.ROLLED_BACK && system.targetVersion === version && system.message
        ? system.message
        : undefined;
    const message = await this.seen(`giving system ${version} up`, why, systemPatienceMs);
    this.restarted();
    return message;
  }

  /** Submits a job of so many sheets. */
  submit(sheets: number): Promise<string> {
    return this.backend.submit(this.#printerId, document(sheets), this.signal);
  }

  /**
   * Waits for the job's end. Throws unless it is complete and each of its sheets lies in the tray once, dot for dot as a printer
   * on this machine prints it.
   */
  async printed(jobId: string, count: number): Promise<Printed> {
    const startMs = performance.now();
    const signal = AbortSignal.any([this.signal, AbortSignal.timeout(patienceMs)]);
    const { job, events } = await this.backend.ended(jobId, signal);
    if (job.state !== JobState.COMPLETED) {
      throw new Failed(`the job ended as ${stateName(job.state)}: ${events.at(-1)?.message}`);
    }
    const sheets = this.engine.sheetsOf(jobId);
    const numbers = sheets.map(({ sheetNumber }) => sheetNumber).join(", ");
    const wanted = Array.from({ length: count }, (_, index) => index + 1).join(", ");
    if (numbers !== wanted)
      throw new Failed(`the engine stacked sheets ${numbers}: they should be ${wanted}`);
    for (const [index, sheet] of (await this.expected(count)).entries()) {
      const different = difference(sheets[index]!, sheet);
      if (different !== undefined)
        throw new Failed(`sheet ${index + 1} is not as printed here: ${different}`);
    }
    return { jobId, sheets, events, tookS: (performance.now() - startMs) / 1000 };
  }

  /** Prints a job to its end, checked as `printed` does. */
  async print(count: number): Promise<Printed> {
    await this.expected(count);
    const startMs = performance.now();
    const printed = await this.printed(await this.submit(count), count);
    return { ...printed, tookS: (performance.now() - startMs) / 1000 };
  }

  /** The document's sheets as a printer on this machine prints them: the longest one is printed once, and shorter ones begin like it. */
  async expected(count: number): Promise<readonly TraySheet[]> {
    if (!this.#expected) {
      const folder = await mkdtemp(join(this.#folder, "here-"));
      const start = machines[this.#options.engine];
      const sheets = await printedHere(folder, sheetsMax, start, this.signal);
      if (sheets.length !== sheetsMax)
        throw new Failed(`a printer on this machine printed ${sheets.length} of ${sheetsMax} sheets`);
      this.#expected = sheets;
    }
    return this.#expected.slice(0, count);
  }

  /** A version later than all before. */
  nextVersion(): string {
    return `${Number(this.releases.version.split(".")[0]) + 1}.0.${this.#versions++}`;
  }

  /** What the board itself has to say of what went wrong; undefined when it is off, or does not answer. */
  async wreckage(): Promise<string | undefined> {
    if (!this.#board) return undefined;
    const folder = "/data/platen";
    const commands = [
      "date; uptime; free -m; df -k; systemctl --failed --no-pager",
      `ls -lAR ${folder}/downloads; ls -lA ${folder} ${folder}/slots; cat ${folder}/state.json`,
      "journalctl -b -n 400 --no-pager -o short-monotonic",
    ];
    const said: string[] = [];
    try {
      for (const command of commands) said.push(await this.root(command, wreckageMs));
    } catch {
      this.signal.throwIfAborted();
    }
    return said.length > 0 ? `${said.join("\n\n")}\n` : undefined;
  }

  /** Runs a command as root on the board, by the console. */
  async root(command: string, limitMs = patienceMs): Promise<string> {
    const signal = AbortSignal.any([this.signal, AbortSignal.timeout(limitMs)]);
    const { board } = this;
    if (!this.#hasShell) await board.shellReady(signal);
    this.#hasShell = true;
    return (await board.command(command, signal)).join("\n").trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cutPower();
    await this.#stack.disposeAsync();
  }
}

/** Holes stay holes: an image is mostly empty. */
async function copySparse(from: string, to: string, signal: AbortSignal): Promise<void> {
  await promisify(execFile)("cp", ["--sparse=always", "--reflink=auto", from, to], { signal });
}

const replaceBig = (_: string, value: unknown): unknown =>
  typeof value === "bigint" ? Number(value) : value;
