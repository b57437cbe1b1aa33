/** A test stand: a simulated engine that can be switched off and on, a line that can be bad, and the sheets it printed. */
import { ownVersions } from "../../protocol/index.ts";
import {
  EngineModel,
  type EngineModelOptions,
  type PrintedSide,
  type StackedSheet,
} from "../engine-model.ts";
import { realClock } from "../link/clock.ts";
import type { EngineMemory, Mechanics } from "../link/engine-device.ts";
import { FaultyLine, type LineOptions } from "../link/faulty-line.ts";
import type { Line } from "../link/line.ts";
import { simulatedCapabilities, simulatedCapacityBytes } from "../link/profile.ts";
import { seededRandom } from "../link/random.ts";
import { SimulatedEngine } from "../link/simulated-engine.ts";

export interface StandOptions {
  readonly model: Omit<EngineModelOptions, "keepSheets">;
  readonly mechanics: Mechanics;
  /** Of the faults and the pace of the line; default: none. */
  readonly line?: LineOptions;
  readonly seed?: number;
}

/** A sheet as the stand keeps it: numbered over all jobs, from 1. */
export interface KeptSheet {
  readonly id: number;
  readonly sheet: Pick<StackedSheet, "jobId" | "sheetNumber">;
  readonly jobName: string;
  readonly sides: readonly PrintedSide[];
}

/** A sheet of A4 at 600 dpi takes 17 MB a side. */
const keptSheets = 12;

export class EngineStand implements Disposable {
  readonly model: EngineModel;
  readonly forth: FaultyLine;
  readonly back: FaultyLine;
  readonly #options: StandOptions;
  readonly #mutes: (() => void)[];
  readonly #sheets: KeptSheet[] = [];
  readonly #memory: EngineMemory = {};
  #engine: SimulatedEngine | undefined;
  #sheetCount = 0;

  /** Stands at the end of `line`, which stays open. */
  constructor(line: Line, options: StandOptions) {
    const { seed = 1, line: lineOptions = {} } = options;
    this.#options = options;
    this.model = new EngineModel({ ...options.model, keepSheets: true });
    this.forth = new FaultyLine(realClock, seededRandom(seed), lineOptions, (bytes) =>
      this.#engine?.receive(bytes),
    );
    this.back = new FaultyLine(realClock, seededRandom(seed + 1), lineOptions, (bytes) => line.write(bytes));
    this.#mutes = [
      line.onBytes((bytes) => this.forth.send(bytes)),
      this.model.listen((event) => {
        if (event.kind === "sheet-stacked") this.#keep();
      }),
    ];
    this.powerOn();
  }

  /** Undefined while it is off. */
  get engine(): SimulatedEngine | undefined {
    return this.#engine;
  }

  /** The newest that lie in the output tray, in order. */
  get sheets(): readonly KeptSheet[] {
    return this.#sheets;
  }

  /** In the paper path; its number will be that of the next that is kept. */
  get sheetInPath(): KeptSheet | undefined {
    const status = this.#engine?.status;
    if (!status || status.sheet === 0 || this.model.inPath.length === 0) return undefined;
    const sheet = { jobId: status.jobKey, sheetNumber: status.sheet };
    return { id: this.#sheetCount + 1, sheet, jobName: this.#jobName, sides: this.model.inPath };
  }

  /** The sheet of that number, if it is still kept or is being printed. */
  sheet(id: number): KeptSheet | undefined {
    return [...this.#sheets, this.sheetInPath].find((kept) => kept?.id === id);
  }

  powerOff(): void {
    this.#engine?.powerOff();
    this.#engine = undefined;
  }

  powerOn(): void {
    this.#engine ??= new SimulatedEngine(
      this.model,
      realClock,
      {
        ...ownVersions,
        bootId: Math.floor(Math.random() * 2 ** 32),
        capabilities: { ...simulatedCapabilities, colorants: this.model.inks },
        mechanics: this.#options.mechanics,
        capacityBytes: simulatedCapacityBytes,
        memory: this.#memory,
      },
      (bytes) => this.back.send(bytes),
    );
  }

  [Symbol.dispose](): void {
    for (const mute of this.#mutes) mute();
    this.powerOff();
  }

  get #jobName(): string {
    return this.#engine?.stats.jobName ?? "";
  }

  #keep(): void {
    for (const sheet of this.model.sheets.splice(0)) {
      this.#sheets.push({ id: ++this.#sheetCount, sheet, jobName: this.#jobName, sides: sheet.sides });
    }
    this.#sheets.splice(0, this.#sheets.length - keptSheets);
  }
}
