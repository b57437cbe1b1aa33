/** A thread that answers questions, one after the other. */
import { Worker } from "node:worker_threads";
import { PlatenError } from "@platen/proto";
import type { Reply } from "./thread-side.ts";

export interface ThreadOptions {
  /** The module that calls `answerQuestions`: a URL of its name and import.meta.url, written where bundlers see both. */
  readonly module: URL;
  /** Handed to the module as `workerData`. */
  readonly data?: unknown;
  /** What it does, for people, as in "the halftone thread". */
  readonly name: string;
}

/**
 * The asking side. The thread starts with the first question, and again with the first one after a crash; whatever it knew is
 * lost then. `Q` and `A` must be cloneable.
 */
export class Thread<Q, A> implements AsyncDisposable {
  readonly #options: ThreadOptions;
  #worker: Worker | undefined;
  /** Questions without an answer, in order. */
  #waiting: PromiseWithResolvers<A>[] = [];

  constructor(options: ThreadOptions) {
    this.#options = options;
  }

  /** Throws what the thread's own handler throws, as `internal`; and `internal` when the thread crashes. */
  ask(question: Q): Promise<A> {
    this.#worker ??= this.#start();
    const waiting = Promise.withResolvers<A>();
    // Whoever asks may look only when its turn comes.
    waiting.promise.catch(() => {});
    this.#waiting.push(waiting);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows
    this.#worker.postMessage(question);
    return waiting.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#rejectAll("has been stopped");
    await worker?.terminate();
  }

  #start(): Worker {
    const { module, data, name } = this.#options;
    const worker = new Worker(module, {
      name,
      workerData: data,
      // What the process was told to import at its start is none of the thread's business.
      execArgv: [],
      // It holds tables and one strip: garbage is collected early.
      resourceLimits: { maxYoungGenerationSizeMb: 2 },
    });
    // An idle thread does not keep the process.
    worker.unref();
    worker.on("message", (reply: Reply<A>) => this.#take(reply));
    worker.once("error", (error) =>
      this.#crashed(worker, error instanceof Error ? error.message : String(error)),
    );
    worker.once("exit", (code) => this.#crashed(worker, `it ended with ${code}`));
    return worker;
  }

  #take(reply: Reply<A>): void {
    const waiting = this.#waiting.shift();
    if ("answer" in reply) waiting?.resolve(reply.answer);
    else waiting?.reject(this.#failure("failed", reply.error));
  }

  #crashed(worker: Worker, why: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#rejectAll(`has crashed: ${why}`);
  }

  #rejectAll(what: string): void {
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure(what));
  }

  #failure(what: string, cause?: unknown): PlatenError {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    return new PlatenError("internal", `the ${this.#options.name} thread ${what}${why}`, { cause });
  }
}
