/** Puts an engine, or a bad line, between lines. */
import { ownVersions } from "../../protocol/index.ts";
import type { EngineModel } from "../engine-model.ts";
import { realClock } from "./clock.ts";
import { FaultyLine, type LineOptions } from "./faulty-line.ts";
import type { Line } from "./line.ts";
import { simulatedCapabilities, simulatedCapacityBytes } from "./profile.ts";
import { seededRandom } from "./random.ts";
import { SimulatedEngine, type SimulatedEngineOptions } from "./simulated-engine.ts";

/** A simulated engine at the end of a line, until disposed of; the line stays open. */
export function attachEngine(
  line: Line,
  model: EngineModel,
  options: Pick<SimulatedEngineOptions, "mechanics"> & Partial<SimulatedEngineOptions>,
): Disposable {
  const all = {
    ...ownVersions,
    bootId: Math.floor(Math.random() * 2 ** 32),
    capabilities: { ...simulatedCapabilities, colorants: model.inks },
    capacityBytes: simulatedCapacityBytes,
    ...options,
  };
  const engine = new SimulatedEngine(model, realClock, all, (bytes) => line.write(bytes));
  const mute = line.onBytes((bytes) => engine.receive(bytes));
  return {
    [Symbol.dispose]() {
      mute();
      engine.powerOff();
    },
  };
}

export interface Proxy extends Disposable {
  readonly forth: FaultyLine;
  readonly back: FaultyLine;
}

/** Joins two lines by a bad one in each direction. The same seed meets the same bytes with the same faults. */
export function joinByFaultyLine(host: Line, engine: Line, seed: number, options: LineOptions): Proxy {
  const forth = new FaultyLine(realClock, seededRandom(seed), options, (bytes) => engine.write(bytes));
  const back = new FaultyLine(realClock, seededRandom(seed + 1), options, (bytes) => host.write(bytes));
  const mutes = [host.onBytes((bytes) => forth.send(bytes)), engine.onBytes((bytes) => back.send(bytes))];
  return {
    forth,
    back,
    [Symbol.dispose]() {
      for (const mute of mutes) mute();
    },
  };
}
