/** A simulated engine behind a bad line, all in virtual time, with a driver that can be killed. */
import { EngineModel, type EngineModelOptions } from "@platen/hw";
import {
  FaultyLine,
  type LineFaults,
  type Mechanics,
  seededRandom,
  SimulatedEngine,
  simulatedCapabilities,
  VirtualClock,
} from "@platen/hw/link";
import { ownVersions } from "@platen/hw/protocol";
import { openSerialEngine, type SerialEngine, type SerialEngineOptions } from "../adapters/serial-engine.ts";
import { type Journal, memoryJournal } from "../adapters/serial-journal.ts";
import { inlinePacker } from "../adapters/serial-packer.ts";
import type { EnginePort, PortHandlers } from "../adapters/serial-port.ts";

const mechanics: Mechanics = { warmUpMs: 50, feedMs: 20, ejectMs: 20, rowsPerSecond: 20_000 };
const baudRateBps = 3_000_000;

export interface VirtualEngineOptions {
  readonly seed?: number;
  readonly faults?: LineFaults;
  readonly model?: EngineModelOptions;
  readonly mechanics?: Partial<Mechanics>;
  readonly versions?: { minVersion: number; maxVersion: number };
}

export class VirtualEngine {
  readonly clock = new VirtualClock();
  readonly model: EngineModel;
  readonly journal: Journal = memoryJournal();
  readonly forth: FaultyLine;
  readonly back: FaultyLine;
  readonly #options: VirtualEngineOptions;
  #engine: SimulatedEngine | undefined;
  #handlers: PortHandlers | undefined;
  #boots = 0;

  constructor(options: VirtualEngineOptions = {}) {
    this.#options = options;
    this.model = new EngineModel({ keepSheets: true, ...options.model });
    const random = seededRandom(options.seed ?? 1);
    const line = { baudRateBps, faults: options.faults ?? {} };
    this.forth = new FaultyLine(this.clock, random, line, (bytes) => this.#engine?.receive(bytes));
    this.back = new FaultyLine(this.clock, random, line, (bytes) => this.#handlers?.bytes(bytes));
    this.powerOn();
  }

  /** Nothing if it is on. */
  powerOn(): void {
    this.#engine ??= new SimulatedEngine(
      this.model,
      this.clock,
      {
        ...(this.#options.versions ?? ownVersions),
        bootId: ++this.#boots,
        capabilities: { ...simulatedCapabilities, windowFrames: 32 },
        mechanics: { ...mechanics, ...this.#options.mechanics },
        capacityBytes: 65_536,
      },
      (bytes) => this.back.send(bytes),
    );
  }

  /** The sheet in the path is lost, and so is all that the engine remembers. */
  powerOff(): void {
    this.#engine?.powerOff();
    this.#engine = undefined;
    this.model.throwOut();
  }

  /** A driver. Another that was there before is cut off for ever, as if its controller had lost power. */
  openDriver(
    openTimeoutMs = 60_000,
    rest: Partial<Pick<SerialEngineOptions, "assumed" | "packer">> = {},
  ): Promise<SerialEngine> {
    let alive = true;
    const port: EnginePort = {
      problem: "",
      start: (handlers) => {
        this.#handlers?.closed();
        this.#handlers = {
          opened: () => {},
          closed: () => {
            alive = false;
          },
          bytes: (bytes) => handlers.bytes(bytes),
        };
        handlers.opened();
      },
      write: (bytes) => {
        if (alive) this.forth.send(bytes);
      },
      reopen: () => {},
      async [Symbol.asyncDispose]() {
        alive = false;
      },
    };
    const { clock, journal } = this;
    const options = { port, clock, journal, baudRateBps, openTimeoutMs, packer: inlinePacker, ...rest };
    return this.run(openSerialEngine(options));
  }

  /** Lets time go on until `work` has settled. Throws when it has not after `limitMs`, or when nothing would happen any more. */
  async run<T>(work: Promise<T>, limitMs = 3_600_000): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    work.then(mark, mark);
    const endMs = this.clock.nowMs() + limitMs;
    for (;;) {
      // Whatever the last step settled goes on before time does.
      await new Promise((resolve) => setImmediate(resolve));
      if (settled) return work;
      if (this.clock.nowMs() > endMs || !this.clock.step()) throw new Error("it hangs");
    }
  }

  /** Lets so much time go by. */
  pass(ms: number): Promise<void> {
    return this.run(new Promise((resolve) => this.clock.after(ms, resolve)));
  }
}
