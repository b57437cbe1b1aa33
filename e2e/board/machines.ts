/** The print engines that there are for the emulated board: the simulator, and the engine in C on an emulated board of its own. */
import { EngineModel, type StackedSheet } from "@platen/hw";
import {
  type Mechanics,
  processLine,
  realClock,
  simulatedCapabilities,
  simulatedCapacityBytes,
  SimulatedEngine,
} from "@platen/hw/link";
import { decodeStatus, FrameReader, frameType, noJob, ownVersions } from "@platen/hw/protocol";
import type { Program } from "../../hw/flash/src/command.ts";
import { buildFirmware, emulatedBoard } from "../../hw/engine-fw/test/build.ts";

/** How far the sheet in the path is. */
export interface Progress {
  readonly jobKey: string;
  readonly sheetNumber: number;
  /** Rows that are on the paper, or that nothing can be added to any more. */
  readonly rows: number;
}

/** A sheet in the output tray. */
export interface TraySheet {
  readonly jobKey: string;
  readonly sheetNumber: number;
  /** Its dots; of an engine that shows none, the CRC-32 of them (docs/engine-link.md, stackedDigest). */
  readonly content: StackedSheet | number;
}

/** An engine without a cable. Disposing ends it. */
export interface Machine extends AsyncDisposable {
  /** Bytes from the controller. */
  receive(bytes: Uint8Array): void;
  readonly progress: Progress;
  /** In the order in which they came. */
  readonly tray: readonly TraySheet[];
}

/** Switches an engine on; what it says goes to `transmit`. */
export type StartMachine = (transmit: (bytes: Uint8Array) => void) => Promise<Machine>;

/** Slow enough that a side has a middle: an A6 side at 300 dpi takes two seconds. */
const mechanics: Mechanics = { warmUpMs: 100, feedMs: 100, ejectMs: 100, rowsPerSecond: 900 };

const startSimulator: StartMachine = async (transmit) => {
  const model = new EngineModel({ keepSheets: true });
  const options = {
    ...ownVersions,
    bootId: 1,
    capabilities: simulatedCapabilities,
    mechanics,
    capacityBytes: simulatedCapacityBytes,
  };
  const engine = new SimulatedEngine(model, realClock, options, transmit);
  return {
    receive: (bytes) => engine.receive(bytes),
    get progress() {
      const { jobKey, sheet } = engine.status;
      return { jobKey, sheetNumber: sheet, rows: engine.stats.rowsFinal };
    },
    get tray() {
      return model.sheets.map((content) => ({
        jobKey: content.jobId,
        sheetNumber: content.sheetNumber,
        content,
      }));
    },
    [Symbol.asyncDispose]: async () => engine.powerOff(),
  };
};

/** Keeps what the frames of its status say: the engine has no other window. */
const startCEngine: StartMachine = async (transmit) => {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await buildFirmware("lm3s6965.elf"));
  const line = stack.use(await processLine("qemu-system-arm", emulatedBoard(path)));
  const reader = new FrameReader();
  const tray: TraySheet[] = [];
  let progress: Progress = { jobKey: noJob, sheetNumber: 0, rows: 0 };
  line.onBytes((bytes) => {
    for (const frame of reader.push(bytes)) {
      const status = frame.type === frameType.status ? decodeStatus(frame.payload) : undefined;
      if (!status) continue;
      const { jobKey, sheetsStacked, stackedDigest, sheet, rowsPrinted } = status;
      progress = { jobKey, sheetNumber: sheet, rows: rowsPrinted };
      const last = tray.findLast((one) => one.jobKey === jobKey);
      if (sheetsStacked === (last?.sheetNumber ?? 0)) continue;
      tray.push({ jobKey, sheetNumber: sheetsStacked, content: stackedDigest });
    }
    transmit(bytes);
  });
  const resources = stack.move();
  return {
    receive: (bytes) => line.write(bytes),
    get progress() {
      return progress;
    },
    tray,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
};

export const machines = { simulator: startSimulator, c: startCEngine } as const;
export type MachineKind = keyof typeof machines;

/** What must be installed to run each. */
export const programsOf = {
  simulator: [],
  c: ["make", "arm-none-eabi-gcc", "qemu-system-arm"],
} as const satisfies Record<MachineKind, readonly Program[]>;
