/** A host that says exactly what it is told to, frame by frame; what the conformance checks are written with. */
import {
  type Capabilities,
  decodeAck,
  decodeStatus,
  decodeWelcome,
  encodeAbort,
  encodeFrame,
  encodeHello,
  encodeMessage,
  type Frame,
  FrameReader,
  frameType,
  type Message,
  type Status,
  version,
  type Welcome,
} from "../protocol/index.ts";
import type { Line } from "../src/link/line.ts";

type Ack = NonNullable<ReturnType<typeof decodeAck>>;

/** The engine did not do what docs/engine-link.md says. */
export class NotConformant extends Error {
  override readonly name: string = "NotConformant";
}

/** Waited for in vain: the engine does not do it at all, or not in time. */
export class TooLate extends NotConformant {
  override readonly name = "TooLate";
}

export function expectThat(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new NotConformant(otherwise);
}

export interface Patience {
  /** How long an engine may take to answer. */
  readonly answerMs: number;
  /** How long between two STATUS that it sends by itself. */
  readonly heartbeatMs: number;
}

/** What the specification asks of a real engine. One that is emulated on a busy machine may need more. */
export const fullSpeed: Patience = { answerMs: 5000, heartbeatMs: 1000 };

export class RawHost {
  readonly line: Line;
  readonly bootId = Math.floor(Math.random() * 2 ** 32);
  /** Counts up within a check; the next one is another host by its boot id. */
  session = Math.floor(Math.random() * 65536);
  /** Number of the next sequenced frame. */
  number = 0;
  /** Credit spent and granted in this session. */
  spent = 0;
  ack: Ack | undefined;
  status: Status | undefined;
  #capabilities: Capabilities | undefined;
  #counter = 0;
  readonly #reader = new FrameReader();
  readonly #heard = new Set<(frame: Frame) => void>();
  readonly #mute: () => void;
  readonly #stopped = new AbortController();

  readonly patience: Patience;

  constructor(line: Line, patience: Patience) {
    this.line = line;
    this.patience = patience;
    this.#mute = line.onBytes((bytes) => {
      for (const frame of this.#reader.push(bytes)) this.#take(frame);
    });
  }

  /** Of the engine greeted. */
  get capabilities(): Capabilities {
    expectThat(this.#capabilities !== undefined, "no capabilities yet: greet first");
    return this.#capabilities;
  }

  /** Whether the newest ACK of this session expects this number. */
  expects(number: number): boolean {
    return this.ack?.expected === number;
  }

  /** Whoever waits for a frame is told so. */
  stop(): void {
    this.#mute();
    this.#stopped.abort(new NotConformant("the check was stopped"));
  }

  #take(frame: Frame): void {
    if (frame.session === this.session) {
      if (frame.type === frameType.ack) this.ack = decodeAck(frame.payload);
      if (frame.type === frameType.status) this.status = decodeStatus(frame.payload) ?? this.status;
    }
    for (const listener of this.#heard) listener(frame);
  }

  /** Does `act`, then waits for a frame that `find` makes something of. Throws TooLate(`otherwise`) in the end. */
  async hear<T>(
    otherwise: string,
    find: (frame: Frame) => T | undefined,
    act?: () => void,
    timeoutMs = this.patience.answerMs,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const listener = (frame: Frame): void => {
      const found = find(frame);
      if (found !== undefined) resolve(found);
    };
    const timer = setTimeout(() => reject(new TooLate(otherwise)), timeoutMs);
    const { signal } = this.#stopped;
    const stop = (): void => reject(signal.reason as Error);
    this.#heard.add(listener);
    signal.addEventListener("abort", stop);
    try {
      signal.throwIfAborted();
      act?.();
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      this.#heard.delete(listener);
    }
  }

  unsequenced(type: number, payload: Uint8Array, session = this.session): void {
    this.line.write(encodeFrame({ type, session, number: this.#counter++ & 0xffff, payload }));
  }

  /** HELLO and its answer. */
  greet(
    session: number,
    hello = { minVersion: 1, maxVersion: version, hostBootId: this.bootId },
  ): Promise<Welcome> {
    const isAnswer = (frame: Frame): Welcome | undefined => {
      if (frame.type !== frameType.welcome || frame.session !== session) return undefined;
      const welcome = decodeWelcome(frame.payload);
      return welcome?.hostBootId === hello.hostBootId ? welcome : undefined;
    };
    return this.hear("no WELCOME that can be read", isAnswer, () =>
      this.unsequenced(frameType.hello, encodeHello(hello), session),
    );
  }

  /** A session of its own, from number 0. */
  async begin(): Promise<Welcome> {
    this.#forget((this.session + 1) & 0xffff);
    const welcome = await this.greet(this.session);
    expectThat(welcome.version === version, `WELCOME has version ${welcome.version}, not ${version}`);
    expectThat(!welcome.resumed, "WELCOME says resumed for a session that is new");
    this.#capabilities = welcome.capabilities;
    await this.sync();
    return welcome;
  }

  #forget(session: number): void {
    this.session = session;
    this.number = 0;
    this.spent = 0;
    this.ack = undefined;
    this.status = undefined;
  }

  /** ABORT, repeated until answered in the next session. */
  async abort(): Promise<void> {
    const old = this.session;
    this.#forget((old + 1) & 0xffff);
    const send = (): void => this.unsequenced(frameType.abort, encodeAbort(this.session), old);
    const repeat = setInterval(send, 100);
    try {
      await this.hear(
        "ABORT is not answered in the next session",
        (frame) => (frame.session === this.session ? true : undefined),
        send,
      );
    } finally {
      clearInterval(repeat);
    }
    await this.sync();
  }

  /**
   * Resolves to the engine's status once it has taken everything sent so far, `ack` being as new. Asked by a repeated HELLO,
   * since nothing else than that brings a WELCOME: an ACK and a STATUS may have been under way before.
   */
  async sync(): Promise<Status> {
    let welcomed = false;
    let acknowledged = false;
    const { bootId: hostBootId, session } = this;
    return this.hear(
      "a repeated HELLO is not answered by WELCOME, ACK and STATUS",
      (frame) => {
        if (frame.session !== session) return undefined;
        if (frame.type === frameType.welcome) welcomed = true;
        if (frame.type === frameType.ack) acknowledged = welcomed;
        return frame.type === frameType.status && acknowledged ? decodeStatus(frame.payload) : undefined;
      },
      () =>
        this.unsequenced(frameType.hello, encodeHello({ minVersion: 1, maxVersion: version, hostBootId })),
    );
  }

  /** Keeps the session alive while somebody does something. */
  async meanwhile<T>(done: Promise<T>): Promise<T> {
    const ping = setInterval(() => this.unsequenced(frameType.ping, new Uint8Array(0)), 500);
    try {
      return await done;
    } finally {
      clearInterval(ping);
    }
  }

  frameOf(message: Message, number: number): Uint8Array {
    return encodeFrame({ ...encodeMessage(message), session: this.session, number });
  }

  /** Sends messages in sequence as credit and window allow, and waits until all have come. */
  async send(...messages: readonly Message[]): Promise<void> {
    for (const message of messages) {
      const cost = encodeMessage(message).payload.length + 8;
      await this.#settle(
        () =>
          (((this.ack?.credit ?? 0) - this.spent - cost) | 0) >= 0 &&
          this.#underWay() < this.capabilities.windowFrames,
        "no credit and no window for a frame",
      );
      this.line.write(this.frameOf(message, this.number));
      this.number = (this.number + 1) & 0xffff;
      this.spent += cost;
    }
    await this.#settle(() => this.#underWay() === 0, "frames in order are not all acknowledged");
  }

  #underWay(): number {
    return (this.number - (this.ack?.expected ?? 0)) & 0xffff;
  }

  /** Until it is so, asking when nothing comes. */
  async #settle(isSo: () => boolean, otherwise: string): Promise<void> {
    const deadline = performance.now() + 6 * this.patience.answerMs;
    while (!isSo()) {
      if (performance.now() >= deadline) throw new TooLate(otherwise);
      const heard = this.hear(otherwise, () => (isSo() ? true : undefined), undefined, 300);
      await heard.catch(() => this.sync());
    }
  }

  /** Waits for a STATUS of this session that is so, asking when none comes. */
  async statusWhere(isSo: (status: Status) => boolean, otherwise: string): Promise<Status> {
    await this.#settle(() => this.status !== undefined && isSo(this.status), otherwise);
    return this.status!;
  }
}
