/** Whether an engine is there: its port opened, and again when it went away; greeted, and noticed when it falls silent. */
import { randomInt } from "node:crypto";
import { type Clock, HostLink, type LinkEvent, realClock } from "@platen/hw/link";
import { type Capabilities, ownVersions, type Status } from "@platen/hw/protocol";
import { PlatenError } from "@platen/proto";
import type { EngineFault } from "../ports/engine-driver.ts";
import { connecting, offline, versionsApart } from "./serial-faults.ts";
import type { EnginePort } from "./serial-port.ts";

export interface PresenceOptions {
  readonly port: EnginePort;
  readonly baudRateBps: number;
  /** Default: the real one. */
  readonly clock?: Clock;
}

export interface PresenceHandlers {
  /** The engine is there. Unless `resumed`, it holds nothing of what was sent before. */
  up(resumed: boolean, engine: Capabilities): void;
  /** It has not answered yet, or no more, or cannot be spoken with. Told again when there is more to say. */
  absent(fault: EngineFault): void;
  status(status: Status): void;
}

/** Of a frame: what the line carries in a hundredth of a second, at ten bits a byte. Less where the engine or the line's errors ask for it. */
const payloadBytesAt = (baudRateBps: number): number =>
  Math.min(4096, Math.max(512, Math.floor(baudRateBps / 1000)));
/** A cut may last so long, beyond the link's own 2.5 s, before it is called one. The engine keeps its session longer. */
const graceMs = 5000;
/** An engine that is silent for so long may have a port that is worth opening anew, and again after as long. */
const reopenMs = 4000;

export class EnginePresence implements AsyncDisposable {
  readonly link: HostLink;
  readonly #port: EnginePort;
  readonly #clock: Clock;
  readonly #handlers: PresenceHandlers;
  readonly #timers = new Set<() => void>();
  #endGrace: (() => void) | undefined;
  #endReopening: (() => void) | undefined;

  constructor({ port, baudRateBps, clock = realClock }: PresenceOptions, handlers: PresenceHandlers) {
    this.#port = port;
    this.#clock = clock;
    this.#handlers = handlers;
    this.link = new HostLink(
      {
        ...ownVersions,
        bootId: randomInt(2 ** 32),
        firstSession: randomInt(65_536),
        payloadBytes: payloadBytesAt(baudRateBps),
        // A tenth of a second.
        bytesUnderWay: Math.max(1024, baudRateBps / 100),
      },
      clock,
      (bytes) => port.write(bytes),
    );
    this.link.listen((event) => this.#hear(event));
  }

  /** Opens the port and greets whoever is there; both are tried again until they succeed. */
  start(): void {
    this.#port.start({
      opened: () => this.link.opened(),
      closed: () => this.link.closed(),
      bytes: (bytes) => this.link.receive(bytes),
    });
    this.#reopenLater();
  }

  /** Waits until the engine has said how it stands. Throws `engine-offline` with what is wrong when it has not in time, or cannot. */
  async answered(timeoutMs: number): Promise<void> {
    const late = new AbortController();
    const giveUp = (fault: EngineFault) => {
      this.#handlers.absent(fault);
      late.abort(new PlatenError("engine-offline", fault.message));
    };
    const cancel = this.after(timeoutMs, () => giveUp(connecting(this.#port.problem)));
    const mute = this.link.listen((event) => {
      if (event.kind === "refused") giveUp(versionsApart(event.engineMinVersion, event.engineMaxVersion));
    });
    try {
      await this.link.until(() => (this.link.isUp && this.link.status ? true : undefined), late.signal);
    } finally {
      cancel();
      mute();
    }
  }

  /** Calls `work` after so long, unless the result is called or all is over before. */
  after(delayMs: number, work: () => void): () => void {
    const cancel = this.#clock.after(delayMs, () => {
      this.#timers.delete(cancel);
      work();
    });
    this.#timers.add(cancel);
    return () => {
      this.#timers.delete(cancel);
      cancel();
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cancel of this.#timers) cancel();
    this.link.stop();
    await this.#port[Symbol.asyncDispose]();
  }

  #hear(event: LinkEvent): void {
    switch (event.kind) {
      case "lost":
        this.#endGrace?.();
        this.#endGrace = this.after(graceMs, () =>
          this.#handlers.absent(offline("the engine does not answer")),
        );
        this.#reopenLater();
        break;
      case "refused":
        // It answers: its port would be none the better for being opened anew.
        this.#endReopening?.();
        this.#handlers.absent(versionsApart(event.engineMinVersion, event.engineMaxVersion));
        break;
      case "up":
        this.#endGrace?.();
        this.#handlers.up(event.resumed, event.capabilities);
        break;
      case "status":
        this.#handlers.status(event.status);
        break;
    }
  }

  #reopenLater(): void {
    this.#endReopening?.();
    this.#endReopening = this.after(reopenMs, () => {
      if (this.link.isUp) return;
      if (!this.link.capabilities) this.#handlers.absent(connecting(this.#port.problem));
      this.#port.reopen();
      this.#reopenLater();
    });
  }
}
