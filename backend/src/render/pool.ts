/** The worker processes of a converter, shared fairly by the documents that are being converted. */
import { PlatenError, hasCode } from "@platen/proto";
import type { DocumentFile, Opened, Rendered, WorkReply, WorkRequest } from "./protocol.ts";
import { cancellation, type WorkerOptions, WorkerProcess } from "./worker-process.ts";

export interface PoolOptions extends WorkerOptions {
  /** Processes at most; each is started when there is work for it. */
  readonly workers: number;
}

/** A worker is replaced after so many requests: pdf.js and Skia keep a little of every document. */
const maxRequests = 1000;

/** And when, at rest, it still holds this share of what it may. */
const maxRestingShare = 0.75;

type Success = Opened | Rendered;

interface Task {
  readonly work: WorkRequest;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly resolve: (reply: Success) => void;
  readonly reject: (error: unknown) => void;
  readonly onAbort: () => void;
}

export class WorkerPool implements AsyncDisposable {
  readonly #options: PoolOptions;
  readonly #idle = new Set<WorkerProcess>();
  readonly #busy = new Set<WorkerProcess>();
  /** What waits, by the id of its document; the document whose turn it is first. */
  readonly #waiting = new Map<string, Task[]>();
  readonly #closed = new AbortController();

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /**
   * Has a worker do it when its document's turn comes. Throws what the worker throws, and the codes of the limits; work that
   * crashes a worker is tried once more on another one, which tells a document that crashes it from an accident.
   */
  async run<Reply extends Success>(
    work: WorkRequest,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Reply> {
    const any = AbortSignal.any([signal, this.#closed.signal]);
    try {
      return (await this.#enqueue(work, timeoutMs, any)) as Reply;
    } catch (error) {
      if (!hasCode(error, "conversion-crashed")) throw error;
      return (await this.#enqueue(work, timeoutMs, any)) as Reply;
    }
  }

  /** The document is not needed any more. */
  release({ id }: DocumentFile): void {
    for (const worker of [...this.#idle, ...this.#busy]) worker.close(id);
  }

  async #enqueue(work: WorkRequest, timeoutMs: number, signal: AbortSignal): Promise<Success> {
    if (signal.aborted) throw cancellation(signal);
    const { promise, resolve, reject } = Promise.withResolvers<Success>();
    const onAbort = (): void => {
      this.#forget(task);
      reject(cancellation(signal));
    };
    const task: Task = { work, timeoutMs, signal, resolve, reject, onAbort };
    signal.addEventListener("abort", onAbort, { once: true });
    const { id } = work.document;
    this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), task]);
    this.#dispatch();
    return promise;
  }

  #forget(task: Task): void {
    const { id } = task.work.document;
    const left = this.#waiting.get(id)?.filter((one) => one !== task) ?? [];
    if (left.length) this.#waiting.set(id, left);
    else this.#waiting.delete(id);
  }

  /** The next task of the document whose turn it is, which goes to the end of the line. */
  #next(): Task | undefined {
    const [turn] = this.#waiting;
    if (!turn) return undefined;
    const [id, [task, ...rest]] = turn;
    this.#waiting.delete(id);
    if (rest.length) this.#waiting.set(id, rest);
    return task;
  }

  /** A worker that has the document open, else any idle one, else a new one. */
  #take(id: string): WorkerProcess {
    // One that somebody killed while it was idle is no worker any more.
    for (const worker of this.#idle) if (!worker.isAlive) this.#idle.delete(worker);
    const idle = [...this.#idle];
    const worker = idle.find((one) => one.documents.has(id)) ?? idle[0];
    if (worker) this.#idle.delete(worker);
    return worker ?? new WorkerProcess(this.#options);
  }

  #dispatch(): void {
    while (this.#busy.size < this.#options.workers) {
      const task = this.#next();
      if (!task) return;
      task.signal.removeEventListener("abort", task.onAbort);
      const worker = this.#take(task.work.document.id);
      this.#busy.add(worker);
      void this.#work(worker, task);
    }
  }

  async #work(worker: WorkerProcess, task: Task): Promise<void> {
    try {
      task.resolve(succeeded(await worker.request(task.work, task.timeoutMs, task.signal)));
    } catch (error) {
      task.reject(error);
    }
    const worn =
      worker.requests >= maxRequests ||
      (await worker.residentBytes()) > maxRestingShare * this.#options.memoryLimitBytes;
    if (worn || !worker.isAlive || this.#closed.signal.aborted) await worker.kill();
    else this.#idle.add(worker);
    this.#busy.delete(worker);
    this.#dispatch();
  }

  /** Kills all workers; what waits or is under way ends with `canceled`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new PlatenError("canceled", "the converter was closed"));
    await Promise.all([...this.#idle, ...this.#busy].map((worker) => worker.kill()));
  }
}

function succeeded(reply: WorkReply): Success {
  if (reply.kind === "failed") throw new PlatenError(reply.code, reply.message);
  return reply;
}
