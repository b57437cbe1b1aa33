/** An engine at the end of a line: the protocol's state machine, the device, and a clock. Bytes in, bytes out. */
import {
  type Capabilities,
  type Engine,
  type EngineLinkEvent,
  engineDueMs,
  FrameReader,
  difference32,
  startEngine,
  type Status,
  stepEngine,
} from "../../protocol/index.ts";
import type { EngineModel } from "../engine-model.ts";
import type { Clock } from "./clock.ts";
import { type DeviceListener, EngineDevice, type EngineMemory, type Mechanics } from "./engine-device.ts";

export interface SimulatedEngineOptions {
  readonly minVersion: number;
  readonly maxVersion: number;
  /** Differs from one start to the next. */
  readonly bootId: number;
  readonly capabilities: Capabilities;
  readonly mechanics: Mechanics;
  /** Memory for messages, in credit. */
  readonly capacityBytes: number;
  /** From the engine that was here before a power cut. Default: it remembers nothing. */
  readonly memory?: EngineMemory;
}

/** What somebody who looks inside sees. */
export interface EngineStats {
  readonly hostIsThere: boolean;
  /** Of the link, once a host has greeted. */
  readonly version: number | undefined;
  /** The host's words. */
  readonly jobName: string;
  /** Rows of the side at work that no plane can add to any more. */
  readonly rowsFinal: number;
  /** Times that it stood with a sheet in the path and nothing to print. */
  readonly starved: number;
  /** Frames that came whole, and pieces between zeros that were none. */
  readonly frames: number;
  readonly damagedFrames: number;
  /** That wait for ones before them. */
  readonly framesOutOfOrder: number;
  /** Messages that are not worked off, of the memory that there is for them, in credit. */
  readonly bufferedBytes: number;
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
  #frames = 0;
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
    const { capabilities, mechanics, memory = {} } = options;
    const listener: DeviceListener = {
      done: (cost) => this.#take({ kind: "done", cost }),
      status: (status) => this.#take({ kind: "status", status }),
    };
    this.#device = new EngineDevice(model, clock, capabilities, mechanics, listener, memory);
    this.#engine = startEngine(options, this.#device.status, clock.nowMs());
  }

  /** Bytes came from the line. */
  receive(bytes: Uint8Array): void {
    if (this.#off) return;
    for (const frame of this.#reader.push(bytes)) {
      this.#frames++;
      this.#take({ kind: "frame", frame });
    }
  }

  get capabilities(): Capabilities {
    return this.#engine.options.capabilities;
  }

  get status(): Status {
    return this.#device.status;
  }

  get stats(): EngineStats {
    const { receiver, session, options, hostSilent } = this.#engine;
    return {
      hostIsThere: session !== undefined && !hostSilent,
      version: session?.version,
      jobName: this.#device.jobName,
      rowsFinal: this.#device.rowsFinal,
      starved: this.#device.starved,
      frames: this.#frames,
      damagedFrames: this.#reader.damaged,
      framesOutOfOrder: receiver.early.size,
      bufferedBytes: options.capacityBytes - difference32(receiver.credit, receiver.taken),
      capacityBytes: options.capacityBytes,
    };
  }

  /** Power off, in the middle of anything. All but its `memory` is gone; the model's paper and sheets stay. */
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
