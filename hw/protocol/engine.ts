/**
 * The engine's state machine: (state, event, now) → (state, effects). Pure; the device behind it prints, and says how things
 * stand. It negotiates, puts frames in sequence, acknowledges, grants credit, reports, and notices that the host is gone.
 */
import {
  type Capabilities,
  decodeAbort,
  decodeHello,
  encodeAck,
  encodeStatus,
  encodeWelcome,
  type Hello,
  type Status,
} from "./control.ts";
import { encodeFrame, type Frame } from "./frame.ts";
import { ackOf, grant, receive, type Receiver, startReceiver } from "./receiver.ts";
import type { Sequenced } from "./sender.ts";
import { ahead16, next16 } from "./serial.ts";
import { engineTiming } from "./timing.ts";
import { frameType, isSequenced } from "./words.ts";

export interface EngineOptions {
  readonly minVersion: number;
  readonly maxVersion: number;
  /** Differs from one start of the engine to the next. */
  readonly bootId: number;
  readonly capabilities: Capabilities;
  /** What the engine can keep of sequenced frames that it has not worked on, in credit. */
  readonly capacityBytes: number;
}

interface Session {
  readonly hostBootId: number;
  readonly session: number;
  readonly version: number;
}

export interface Engine {
  readonly options: EngineOptions;
  readonly session: Session | undefined;
  readonly receiver: Receiver;
  /** Counts unsequenced frames. */
  readonly counter: number;
  readonly status: Status;
  readonly heardAtMs: number;
  readonly hostSilent: boolean;
  readonly statusAtMs: number;
  /** In-sequence frames since the last ACK, and when it is due; undefined: none owed. */
  readonly unacknowledged: number;
  readonly ackAtMs: number | undefined;
  /** Credit as the host knows it. */
  readonly creditTold: number;
}

export type EngineEvent =
  | { readonly kind: "frame"; readonly frame: Frame }
  /** The device is done with delivered frames that cost so much (`frameCost`). */
  | { readonly kind: "done"; readonly cost: number }
  /** How things stand has changed. */
  | { readonly kind: "status"; readonly status: Status }
  | { readonly kind: "tick" };

export type EngineEffect =
  | { readonly kind: "transmit"; readonly bytes: Uint8Array }
  /** The next in sequence. */
  | { readonly kind: "deliver"; readonly frame: Sequenced }
  /** A new session, an ABORT, or a host gone for good: throw out all that is not stacked, delivered frames included. */
  | { readonly kind: "reset" }
  /** Feed no further sheet until `host-back`. */
  | { readonly kind: "host-silent" }
  | { readonly kind: "host-back" };

export interface EngineStep {
  readonly engine: Engine;
  readonly effects: readonly EngineEffect[];
}

const freshReceiver = ({ capabilities, capacityBytes }: EngineOptions): Receiver =>
  startReceiver(capabilities.windowFrames, capacityBytes);

export const startEngine = (options: EngineOptions, status: Status, nowMs: number): Engine => ({
  options,
  session: undefined,
  receiver: freshReceiver(options),
  counter: 0,
  status,
  heardAtMs: nowMs,
  hostSilent: false,
  statusAtMs: nowMs,
  unacknowledged: 0,
  ackAtMs: undefined,
  creditTold: 0,
});

/** When `tick` is due at the latest; undefined: never. */
export function engineDueMs({
  session,
  ackAtMs,
  statusAtMs,
  heardAtMs,
  hostSilent,
}: Engine): number | undefined {
  if (!session) return undefined;
  const silence = hostSilent ? engineTiming.forgetMs : engineTiming.silentMs;
  return Math.min(ackAtMs ?? Infinity, statusAtMs + engineTiming.heartbeatMs, heardAtMs + silence);
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** One step at work: a copy of the state, and the effects so far. */
class Work {
  readonly engine: Mutable<Engine>;
  readonly effects: EngineEffect[] = [];
  readonly #nowMs: number;

  constructor(before: Engine, nowMs: number) {
    this.engine = { ...before };
    this.#nowMs = nowMs;
  }

  #say(type: number, session: number, payload: Uint8Array): void {
    const bytes = encodeFrame({ type, session, number: this.engine.counter, payload });
    this.engine.counter = next16(this.engine.counter);
    this.effects.push({ kind: "transmit", bytes });
  }

  sayStatus(): void {
    if (!this.engine.session) return;
    this.engine.statusAtMs = this.#nowMs;
    this.#say(frameType.status, this.engine.session.session, encodeStatus(this.engine.status));
  }

  sayAck(): void {
    if (!this.engine.session) return;
    this.engine.unacknowledged = 0;
    this.engine.ackAtMs = undefined;
    this.engine.creditTold = this.engine.receiver.credit;
    this.#say(frameType.ack, this.engine.session.session, encodeAck(ackOf(this.engine.receiver)));
  }

  /** Everything not stacked is void. */
  #reset(session: Session | undefined): void {
    this.engine.session = session;
    this.engine.receiver = freshReceiver(this.engine.options);
    this.engine.unacknowledged = 0;
    this.engine.ackAtMs = undefined;
    this.engine.hostSilent = false;
    this.effects.push({ kind: "reset" });
  }

  #heard(): void {
    this.engine.heardAtMs = this.#nowMs;
    if (!this.engine.hostSilent) return;
    this.engine.hostSilent = false;
    this.effects.push({ kind: "host-back" });
  }

  #welcome(hello: Hello, session: number): void {
    const { minVersion, maxVersion, bootId: engineBootId, capabilities } = this.engine.options;
    const newest = Math.min(maxVersion, hello.maxVersion);
    const version = newest >= Math.max(minVersion, hello.minVersion) ? newest : 0;
    const { hostBootId } = hello;
    const answer = { minVersion, maxVersion, version, hostBootId, engineBootId };
    if (version === 0) {
      this.#say(
        frameType.welcome,
        session,
        encodeWelcome({ ...answer, resumed: false, capabilities: undefined }),
      );
      return;
    }
    const current = this.engine.session;
    const sameHost = current?.hostBootId === hostBootId;
    // A greeting that was under way for long must not undo the session that came after it.
    if (sameHost && ahead16(session, current.session) < 0) return;
    const resumed = sameHost && session === current.session;
    if (!resumed) this.#reset({ hostBootId, session, version });
    this.#heard();
    this.#say(frameType.welcome, session, encodeWelcome({ ...answer, resumed, capabilities }));
    this.sayAck();
    this.sayStatus();
  }

  #abort(frame: Frame): void {
    const { session } = this.engine;
    const next = decodeAbort(frame.payload);
    if (!session || next === undefined) return;
    const due = frame.session === session.session;
    // A repeat, because the answer was lost.
    const done = next === session.session && frame.session !== next;
    if (!due && !done) return;
    if (due && next !== session.session) this.#reset({ ...session, session: next });
    this.#heard();
    this.sayAck();
    this.sayStatus();
  }

  #sequenced(frame: Frame): void {
    const taken = receive(this.engine.receiver, frame);
    this.engine.receiver = taken.receiver;
    for (const delivered of taken.delivered) this.effects.push({ kind: "deliver", frame: delivered });
    this.engine.unacknowledged += taken.delivered.length;
    this.engine.ackAtMs ??= this.#nowMs + engineTiming.ackMs;
    if (taken.outOfOrder || this.engine.unacknowledged >= engineTiming.ackFrames) this.sayAck();
  }

  frame(frame: Frame): void {
    if (frame.type === frameType.hello) {
      const hello = decodeHello(frame.payload);
      if (hello) this.#welcome(hello, frame.session);
      return;
    }
    if (frame.type === frameType.abort) {
      this.#abort(frame);
      return;
    }
    if (frame.session !== this.engine.session?.session) return;
    this.#heard();
    if (isSequenced(frame.type)) this.#sequenced(frame);
    else if (frame.type === frameType.ping) {
      this.sayAck();
      this.sayStatus();
    }
  }

  done(cost: number): void {
    this.engine.receiver = grant(this.engine.receiver, cost);
    const untold = (this.engine.receiver.credit - this.engine.creditTold) >>> 0;
    if (untold >= this.engine.options.capacityBytes / 4) this.sayAck();
    else this.engine.ackAtMs ??= this.#nowMs + engineTiming.ackMs;
  }

  tick(): void {
    if (!this.engine.session) return;
    // Compared as engineDueMs computes it, to the last bit: a tick too soon by a rounding would come again at once.
    const { heardAtMs, statusAtMs } = this.engine;
    if (this.#nowMs >= heardAtMs + engineTiming.forgetMs) {
      this.#reset(undefined);
      return;
    }
    if (this.#nowMs >= heardAtMs + engineTiming.silentMs && !this.engine.hostSilent) {
      this.engine.hostSilent = true;
      this.effects.push({ kind: "host-silent" });
    }
    if (this.engine.ackAtMs !== undefined && this.#nowMs >= this.engine.ackAtMs) this.sayAck();
    if (this.#nowMs >= statusAtMs + engineTiming.heartbeatMs) this.sayStatus();
  }
}

export function stepEngine(before: Engine, event: EngineEvent, nowMs: number): EngineStep {
  const work = new Work(before, nowMs);
  if (event.kind === "frame") work.frame(event.frame);
  else if (event.kind === "done") work.done(event.cost);
  else if (event.kind === "status") {
    work.engine.status = event.status;
    work.sayStatus();
  }
  work.tick();
  return { engine: work.engine, effects: work.effects };
}
