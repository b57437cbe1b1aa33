/** The host's end of a line: the protocol's state machine, a clock, and waiting for things to become so. */
import {
  type Capabilities,
  FrameReader,
  type Host,
  hostDueMs,
  type HostEffect,
  type HostEvent,
  type HostOptions,
  isDelivered,
  isHeldUp,
  type Message,
  payloadBytesOf,
  startHost,
  type Status,
  stepHost,
} from "../../protocol/index.ts";
import type { Clock } from "./clock.ts";

/** What happens at the link, but for bytes. */
export type LinkEvent = Exclude<HostEffect, { kind: "transmit" }>;

/** A tick that comes so much too late says that the process had to wait for a core: answers lie there that it has not read. */
const lateMs = 5;
/** So long it has to read them before anything is taken for lost: some turns of the event loop, and a read on the thread pool. */
const readingMs = 10;

interface Waiter {
  readonly check: () => void;
}

export class HostLink {
  readonly #clock: Clock;
  readonly #transmit: (bytes: Uint8Array) => void;
  readonly #listeners = new Set<(event: LinkEvent) => void>();
  readonly #waiters = new Set<Waiter>();
  readonly #events: HostEvent[] = [];
  #reader = new FrameReader();
  #host: Host;
  #status: Status | undefined;
  #cancelTick: (() => void) | undefined;
  #tickAtMs = Infinity;
  /** No tick before this, so that what lies there is read first. */
  #readingUntilMs = 0;
  #stepping = false;
  #closed = false;

  constructor(options: HostOptions, clock: Clock, transmit: (bytes: Uint8Array) => void) {
    this.#clock = clock;
    this.#transmit = transmit;
    this.#host = startHost(options, clock.nowMs());
  }

  /** The engine is there, and messages can be sent. */
  get isUp(): boolean {
    return this.#host.phase.kind === "up";
  }

  /** As of the latest greeting. */
  get capabilities(): Capabilities | undefined {
    return this.#host.capabilities;
  }

  /** The newest of this session; undefined until one has come. */
  get status(): Status | undefined {
    return this.#status;
  }

  /** Everything sent has come to the engine. */
  get isDelivered(): boolean {
    return isDelivered(this.#host);
  }

  /** Messages wait for the engine: do not send more yet. */
  get isHeldUp(): boolean {
    return isHeldUp(this.#host);
  }

  /** The payload that sequenced frames should have now. */
  get payloadBytes(): number {
    return payloadBytesOf(this.#host);
  }

  /** The port is open. */
  opened(): void {
    this.#reader = new FrameReader();
    this.#take({ kind: "opened" });
  }

  /** The port is gone. */
  closed(): void {
    this.#take({ kind: "closed" });
  }

  receive(bytes: Uint8Array): void {
    for (const frame of this.#reader.push(bytes)) this.#take({ kind: "frame", frame });
  }

  /** Once up. What is sent while the engine is silent goes out when it is back, unless `up`, not resumed, says that all is void. */
  send(message: Message): void {
    this.#take({ kind: "send", message });
  }

  /** All that is not stacked is void, here and at the engine; `up`, not resumed, tells when. */
  abort(): void {
    this.#take({ kind: "abort" });
  }

  listen(listener: (event: LinkEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Resolves when `condition` gives something, asked after everything that happens. Rejects with what it throws, and with the
   * signal's reason.
   */
  until<T>(condition: () => T | undefined, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", waiter.check);
        settle();
      };
      const waiter = {
        check: (): void => {
          try {
            signal?.throwIfAborted();
            const value = condition();
            if (value !== undefined) finish(() => resolve(value));
          } catch (error) {
            finish(() => reject(error));
          }
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", waiter.check);
      waiter.check();
    });
  }

  /** Asks those who wait (`until`) again: something beside the link has changed. */
  recheck(): void {
    for (const { check } of this.#waiters) check();
  }

  /** Stops the clockwork. Nothing happens any more. */
  stop(): void {
    this.#closed = true;
    this.#cancelTick?.();
  }

  #take(event: HostEvent): void {
    if (this.#closed) return;
    this.#events.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    for (let next = this.#events.shift(); next; next = this.#events.shift()) this.#step(next);
    this.#stepping = false;
    this.recheck();
    this.#schedule();
  }

  #step(event: HostEvent): void {
    const { session } = this.#host;
    const { host, effects } = stepHost(this.#host, event, this.#clock.nowMs());
    this.#host = host;
    // What an engine said in an earlier session is no news of this.
    if (host.session !== session) this.#status = undefined;
    for (const effect of effects) {
      if (effect.kind === "transmit") {
        this.#transmit(effect.bytes);
        continue;
      }
      if (effect.kind === "status") this.#status = effect.status;
      for (const listener of this.#listeners) listener(effect);
    }
  }

  /** A tick that is due later than the one that is set is seen to by that one: most events only put it off. */
  #schedule(): void {
    const dueMs = Math.max(hostDueMs(this.#host) ?? Infinity, this.#readingUntilMs);
    if (this.#closed || dueMs >= this.#tickAtMs) return;
    this.#cancelTick?.();
    this.#tickAtMs = dueMs;
    this.#cancelTick = this.#clock.after(dueMs - this.#clock.nowMs(), () => this.#tick(dueMs));
  }

  #tick(dueMs: number): void {
    this.#tickAtMs = Infinity;
    const nowMs = this.#clock.nowMs();
    // Put off once only: on a machine that is always late there would be no tick at all.
    if (nowMs - dueMs <= lateMs || dueMs === this.#readingUntilMs) return this.#take({ kind: "tick" });
    this.#readingUntilMs = nowMs + readingMs;
    this.#schedule();
  }
}
