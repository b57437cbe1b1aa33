/** A client of QEMU's machine protocol: JSON, a line each way, over a socket. */
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { PlatenError } from "@platen/proto";

interface Answer {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
  readonly event?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

type EventListener = (event: string, data: Readonly<Record<string, unknown>>) => void;

export class Qmp implements Disposable {
  readonly #socket: Socket;
  readonly #waiting: PromiseWithResolvers<unknown>[] = [];
  readonly #listeners = new Set<EventListener>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on("line", (line) => this.#take(JSON.parse(line) as Answer));
    const lost = () => {
      for (const each of this.#waiting.splice(0))
        each.reject(new PlatenError("unavailable", "the machine is gone"));
    };
    socket.on("error", lost).on("close", lost);
  }

  /** Connects to the socket `path`, which must be listening. */
  static async connect(path: string): Promise<Qmp> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    const qmp = new Qmp(socket);
    await qmp.execute("qmp_capabilities");
    return qmp;
  }

  #take({ event, data, error, ...answer }: Answer): void {
    if (event) for (const listener of this.#listeners) listener(event, data ?? {});
    else if (error) this.#waiting.shift()?.reject(new PlatenError("internal", `QEMU refuses: ${error.desc}`));
    else if ("return" in answer) this.#waiting.shift()?.resolve(answer.return);
  }

  /** Answers come in the order of the commands. Throws `internal` when QEMU refuses, `unavailable` when it is gone. */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.push(answer);
    this.#socket.write(`${JSON.stringify({ execute: command, ...(args && { arguments: args }) })}\n`);
    return answer.promise;
  }

  /** Resolves when an event for which `matches` comes. */
  event(
    name: string,
    matches: (data: Readonly<Record<string, unknown>>) => boolean,
    signal?: AbortSignal,
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const listener: EventListener = (event, data) => {
      if (event === name && matches(data)) resolve();
    };
    const abort = () => reject(signal?.reason as Error);
    const lost = () => reject(new PlatenError("unavailable", "the machine is gone"));
    this.#listeners.add(listener);
    signal?.addEventListener("abort", abort);
    this.#socket.once("close", lost);
    return promise.finally(() => {
      this.#listeners.delete(listener);
      signal?.removeEventListener("abort", abort);
      this.#socket.off("close", lost);
    });
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
