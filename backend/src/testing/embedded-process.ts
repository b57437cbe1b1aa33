/**
 * A second process on the embedded storage, for tests: this file is both the process (run with a data folder) and what
 * starts it.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { PlatenError, toPlatenError } from "@platen/proto";
import { openSqliteKeyValueStore } from "../adapters/embedded/sqlite-key-value.ts";
import { openSqliteWorkQueues } from "../adapters/embedded/sqlite-work-queue.ts";

/** What the process does on request. Values are text; everything happens in the bucket or queue of that name. */
type Request =
  | { readonly kind: "put" | "create"; readonly name: string; readonly key: string; readonly value: string }
  | { readonly kind: "delete"; readonly name: string; readonly key: string }
  /** Adds one to a number, so many times, by compare and swap. */
  | { readonly kind: "count"; readonly name: string; readonly key: string; readonly times: number }
  | { readonly kind: "enqueue"; readonly name: string; readonly lane: string; readonly id: string }
  /** Takes one item and keeps it; answers with its id. */
  | { readonly kind: "take"; readonly name: string; readonly leaseMs: number };

interface Answer {
  readonly value?: string;
  readonly error?: { readonly code: PlatenError["code"]; readonly message: string };
}

export interface EmbeddedProcess extends AsyncDisposable {
  /** Throws what the operation threw there. */
  ask(request: Request): Promise<string | undefined>;
  /** SIGKILL, and gone. */
  kill(): Promise<void>;
}

/** Starts a process that has the folder's storage open; resolves when it has. */
export async function startEmbeddedProcess(dataDir: string): Promise<EmbeddedProcess> {
  const child: ChildProcess = fork(fileURLToPath(import.meta.url), [dataDir], { execArgv: [] });
  const exited = once(child, "exit");
  const next = async (): Promise<Answer> =>
    ((await Promise.race([once(child, "message"), exited.then(() => [gone])])) as [Answer])[0];
  const ask = async (request?: Request) => {
    if (request) child.send(request);
    const { value, error } = await next();
    if (error) throw new PlatenError(error.code, error.message);
    return value;
  };
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  await ask();
  return { ask, kill, [Symbol.asyncDispose]: kill };
}

const gone: Answer = { error: { code: "unavailable", message: "the process ended" } };

async function serve(dataDir: string): Promise<void> {
  const keyValue = await openSqliteKeyValueStore(dataDir);
  const queues = await openSqliteWorkQueues(dataDir);
  const answer = async (request: Request): Promise<string | undefined> => {
    switch (request.kind) {
      case "put":
      case "create":
        await (await keyValue.bucket(request.name))[request.kind](request.key, Buffer.from(request.value));
        return undefined;
      case "delete":
        await (await keyValue.bucket(request.name)).delete(request.key);
        return undefined;
      case "count": {
        const bucket = await keyValue.bucket(request.name);
        for (let done = 0; done < request.times; ) {
          const entry = (await bucket.get(request.key))!;
          const sum = Number(Buffer.from(entry.value).toString()) + 1;
          done += await bucket.update(request.key, Buffer.from(String(sum)), entry.revision).then(
            () => 1,
            () => 0,
          );
        }
        return undefined;
      }
      case "enqueue":
        await (await queues.queue(request.name, { leaseMs: 1000 })).enqueue(
          request.lane,
          request.id,
          new Uint8Array(),
        );
        return undefined;
      case "take": {
        const queue = await queues.queue(request.name, { leaseMs: request.leaseMs });
        for await (const { id } of queue.deliveries(new AbortController().signal)) return id;
        return undefined;
      }
    }
  };
  process.on("message", (request: Request) => {
    answer(request).then(
      (value) => process.send!(value === undefined ? {} : { value }),
      (thrown: unknown) => {
        const { code, message } = toPlatenError(thrown);
        process.send!({ error: { code, message } });
      },
    );
  });
  process.send!({});
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.send) await serve(process.argv[2]!);
