/** An engine at the end of a line: the protocol's state machine, the device, and a clock. Bytes in, bytes out. */
import {
  type Capabilities,
  type Engine,
  type EngineLinkEvent,
  engineDueMs,
  FrameReader,
  startEngine,
  stepEngine,
} from "../../protocol/index.ts";
import type { EngineModel } from "../engine-model.ts";
import type { Clock } from "./clock.ts";
import { EngineDevice, type Mechanics } from "./engine-device.ts";

export interface SimulatedEngineOptions {
  readonly minVersion: number;
  readonly maxVersion: number;
  /** Differs from one start to the next. */
  readonly bootId: number;
  readonly capabilities: Capabilities;
  readonly mechanics: Mechanics;
  /** Memory for messages, in credit. */
  readonly capacityBytes: number;
}

export class SimulatedEngine {
  readonly #clock: Clock;
  readonly #transmit: (bytes: Uint8Array) => void;
  readonly #reader = new FrameReader();
  readonly #device: EngineDevice;
  #engine: Engine;
  #cancelTick: (() => void) | undefined;
  #off = false;
  /** Events that arise while another is worked on. */
  readonly #events: EngineLinkEvent[] = [];
  #stepping = false;

  constructor(
    model: EngineModel,
    clock: Clock,
    options: SimulatedEngineOptions,
    transmit: (bytes: Uint8Array) => void,
  ) {
    this.#clock = clock;
    this.#transmit = transmit;
    this.#device = new EngineDevice(model, clock, options.capabilities, options.mechanics, {
      done: (cost) => this.#take({ kind: "done", cost }),
      status: (status) => this.#take({ kind: "status", status }),
    });
    this.#engine = startEngine(options, this.#device.status, clock.nowMs());
  }

  /** Bytes came from the line. */
  receive(bytes: Uint8Array): void {
    if (this.#off) return;
    for (const frame of this.#reader.push(bytes)) this.#take({ kind: "frame", frame });
  }

  /** Power off, in the middle of anything. What it remembers is gone; the model's paper and sheets stay. */
  powerOff(): void {
    this.#off = true;
    this.#cancelTick?.();
    this.#device.stop();
  }

  #take(event: EngineLinkEvent): void {
    if (this.#off) return;
    this.#events.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    for (let next = this.#events.shift(); next; next = this.#events.shift()) this.#step(next);
    this.#stepping = false;
    this.#schedule();
  }

  #step(event: EngineLinkEvent): void {
    const { engine, effects } = stepEngine(this.#engine, event, this.#clock.nowMs());
    this.#engine = engine;
    for (const effect of effects) {
      switch (effect.kind) {
        case "transmit":
          this.#transmit(effect.bytes);
          break;
        case "deliver":
          this.#device.deliver(effect.frame);
          break;
        case "reset":
          this.#device.reset();
          break;
        case "host-silent":
        case "host-back":
          this.#device.setHostSilent(effect.kind === "host-silent");
          break;
      }
    }
  }

  #schedule(): void {
    this.#cancelTick?.();
    const dueMs = engineDueMs(this.#engine);
    if (dueMs === undefined || this.#off) return;
    const delayMs = dueMs - this.#clock.nowMs();
    this.#cancelTick = this.#clock.after(delayMs, () => this.#take({ kind: "tick" }));
  }
}
