/** A worker process as its parent sees it: one request at a time, within limits of time and memory, killed when it breaks one. */
import { type ChildProcess, fork } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { PlatenError } from "@platen/proto";
import type { CloseRequest, Ready, WorkReply, WorkRequest } from "./protocol.ts";

const mainFile = fileURLToPath(new URL("./worker/main.ts", import.meta.url));

const workerEnvironment = {
  // glibc's arenas, one a thread by default, keep what image decoders have given back.
  MALLOC_ARENA_MAX: "2",
  // What one band gave back is the next one's: by itself glibc returns each to the system, which takes long to make it anew.
  MALLOC_MMAP_THRESHOLD_: String(16 * 2 ** 20),
  MALLOC_TRIM_THRESHOLD_: String(64 * 2 ** 20),
  // Of a set number of threads libvips ends none; what it gives to one that is just ending it loses, and a page with it. Four images
  // at a time (of Node's thread pool) take three each.
  VIPS_MAX_THREADS: "16",
};

/** How often the memory of a worker is looked at. */
const memoryIntervalMs = 50;

/** How long a worker may take to load what it needs. */
const bootTimeoutMs = 60_000;

/** What of its standard error is kept, to say why it crashed. */
const stderrChars = 2000;

/** Memory of a process that is in RAM, bytes; 0 where /proc is not, and there V8's own limit alone holds. */
async function residentBytes(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "latin1").catch(() => "");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Why work was broken off from outside. */
export const cancellation = ({ reason }: AbortSignal): PlatenError =>
  reason instanceof PlatenError
    ? reason
    : new PlatenError("canceled", "the conversion was canceled", { cause: reason });

export interface WorkerOptions {
  readonly memoryLimitBytes: number;
  /** The one folder that it may write to; no symbolic link in its path. */
  readonly tempDir: string;
}

export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #memoryLimitBytes: number;
  readonly #exited: Promise<unknown>;
  readonly #ready: Promise<unknown>;
  #stderr = "";
  #requests = 0;
  /** Ids of documents that it has open; some of them it may have closed by itself. */
  readonly documents = new Set<string>();

  constructor({ memoryLimitBytes, tempDir }: WorkerOptions) {
    this.#memoryLimitBytes = memoryLimitBytes;
    this.#child = fork(mainFile, {
      execArgv: [
        `--max-old-space-size=${Math.ceil(memoryLimitBytes / 2 ** 20)}`,
        "--expose-gc",
        // It reads what strangers wrote: it starts no process and writes nowhere else.
        "--permission",
        "--allow-addons",
        "--allow-worker",
        "--allow-fs-read=*",
        `--allow-fs-write=${tempDir}`,
        "--no-warnings",
      ],
      // Nor is anything of the parent's environment, where secrets may be, its business.
      env: workerEnvironment,
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-stderrChars);
    });
    this.#ready = new Promise((resolve) => this.#child.once("message", resolve));
    this.#exited = new Promise((resolve) => {
      this.#child.once("exit", resolve);
      // It could not be started at all.
      this.#child.once("error", (error) => {
        this.#stderr ||= error.message;
        resolve(error);
      });
    });
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.connected;
  }

  /** Requests that it was given. */
  get requests(): number {
    return this.#requests;
  }

  residentBytes(): Promise<number> {
    return residentBytes(this.#child.pid);
  }

  #crash(): PlatenError {
    const { exitCode, signalCode } = this.#child;
    if (/heap out of memory|allocation failed/i.test(this.#stderr)) return this.#memoryExceeded();
    const how = signalCode ?? (exitCode === null ? "did not start" : `exit code ${exitCode}`);
    const last = this.#stderr.trim().split("\n").at(-1);
    return new PlatenError(
      "conversion-crashed",
      `the document crashed the converter (${how}${last ? `: ${last}` : ""})`,
    );
  }

  #memoryExceeded(): PlatenError {
    return new PlatenError(
      "conversion-memory-limit",
      `the document needs more memory than the ${Math.round(this.#memoryLimitBytes / 2 ** 20)} MiB that a page may take`,
    );
  }

  /**
   * Has the worker do it. Throws the worker's own refusals, `conversion-time-limit`, `conversion-memory-limit` and
   * `conversion-crashed`, after which it is dead, as it is when `signal` aborts.
   */
  async request(work: WorkRequest, timeoutMs: number, signal: AbortSignal): Promise<WorkReply> {
    this.#requests++;
    this.documents.add(work.document.id);
    const reply = Promise.withResolvers<WorkReply>();
    const giveUp = (error: PlatenError): void => {
      reply.reject(error);
      this.#child.kill("SIGKILL");
    };
    const giveUpAfter = (ms: number, error: PlatenError): NodeJS.Timeout => setTimeout(giveUp, ms, error);
    const onAbort = (): void => giveUp(cancellation(signal));
    const onMessage = (message: WorkReply | Ready): void => {
      if (message.kind !== "ready") reply.resolve(message);
    };
    const watch = setInterval(async () => {
      if ((await this.residentBytes()) > this.#memoryLimitBytes) giveUp(this.#memoryExceeded());
    }, memoryIntervalMs);
    const slow = `the document takes more than the limit of ${timeoutMs / 1000} seconds`;
    let timer = giveUpAfter(
      bootTimeoutMs,
      new PlatenError("conversion-crashed", "the converter does not start"),
    );
    signal.addEventListener("abort", onAbort, { once: true });
    this.#child.on("message", onMessage);
    void this.#exited.then(() => reply.reject(this.#crash()));
    try {
      if (signal.aborted) onAbort();
      await Promise.race([this.#ready, reply.promise]);
      clearTimeout(timer);
      timer = giveUpAfter(timeoutMs, new PlatenError("conversion-time-limit", slow));
      this.#child.send(work);
      return await reply.promise;
    } catch (error) {
      // Whatever it was writing, it writes no more.
      await this.kill();
      throw error;
    } finally {
      clearInterval(watch);
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      this.#child.off("message", onMessage);
    }
  }

  /** The document is not needed any more. */
  close(id: string): void {
    if (!this.documents.delete(id) || !this.isAlive) return;
    this.#child.send({ kind: "close", id } satisfies CloseRequest);
  }

  /** Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }
}
