/** Servers in processes of their own that are killed or frozen under load. */
import { ChannelCredentials, type ChannelOptions } from "@grpc/grpc-js";
import { ConversionService } from "@platen/proto";
import { afterEach, describe, expect, test } from "vitest";
import { ManualDirectory } from "./fixtures/directory.ts";
import { ExecutorProcess } from "./fixtures/executor-process.ts";
import { type BalancingPolicy, connectBalanced } from "./index.ts";

let resources = new AsyncDisposableStack();
afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

const start = (...ids: string[]): Promise<ExecutorProcess[]> =>
  Promise.all(ids.map(async (id) => resources.use(await ExecutorProcess.start(id))));

function open(executors: ExecutorProcess[], policy: BalancingPolicy, channelOptions: ChannelOptions = {}) {
  const directory = new ManualDirectory(executors.map(({ endpoint }) => endpoint));
  const credentials = ChannelCredentials.createInsecure();
  return resources
    .use(connectBalanced("executors", { directory, policy, credentials, channelOptions }))
    .client(ConversionService);
}

const times = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));

describe.each(["pick_first", "round_robin", "least_loaded"] as const)("%s", (policy) => {
  test("a server killed under load, and still listed, fails no call", async () => {
    const executors = await start("a", "b", "c");
    const client = open(executors, policy);
    const answers: string[] = [];
    const caller = async () => {
      while (answers.length < 600) {
        const { executorId } = await client.complete({});
        // Whichever is in use: it is killed with calls of the other callers under way.
        if (answers.push(executorId) === 200) {
          executors.find(({ endpoint }) => endpoint.id === executorId)?.signal("SIGKILL");
        }
      }
    };
    await Promise.all(times(20, caller));
    const killed = answers[199];
    expect(answers.slice(-100)).not.toContain(killed);
  });

  test("a stream that is lost before its first message is begun again elsewhere", async () => {
    const executors = await start("a", "b");
    const client = open(executors, policy);
    const begun = executors.map(async (executor) => ({ executor, stream: await executor.nextStream() }));
    const cancel = new AbortController();
    const stream = client.convert({ requestId: "silent" }, { signal: cancel.signal });
    const first = stream[Symbol.asyncIterator]().next();
    const { executor: lost } = await Promise.race(begun);
    lost.signal("SIGKILL");
    const again = await Promise.all(begun);
    expect(again.map(({ stream }) => stream)).toEqual(["silent", "silent"]);
    cancel.abort();
    await expect(first).rejects.toMatchObject({ code: "canceled" });
  });
});

test("a stream that is lost after its first message is `unavailable`, and is not begun again", async () => {
  const executors = await start("a", "b");
  const client = open(executors, "round_robin");
  const streams: string[] = [];
  for (const executor of executors) {
    void executor.nextStream().then((stream) => streams.push(stream));
  }
  const messages = client.convert({ requestId: "r" })[Symbol.asyncIterator]();
  const { value } = await messages.next();
  executors.find(({ endpoint }) => endpoint.id === value?.executorId)?.signal("SIGKILL");
  await expect(messages.next()).rejects.toMatchObject({ code: "unavailable" });
  // What was sent before these calls has arrived when the server that is left answers them.
  await Promise.all(times(4, () => client.complete({})));
  expect(streams).toEqual(["r"]);
});

test("a frozen server is given up, and its calls are done elsewhere", async () => {
  const executors = await start("a", "b");
  const client = open(executors, "round_robin", {
    "grpc.keepalive_time_ms": 200,
    "grpc.keepalive_timeout_ms": 2000,
  });
  const seen = new Set<string>();
  while (seen.size < 2) seen.add((await client.complete({})).executorId);
  executors[0]?.signal("SIGSTOP");
  const answers = await Promise.all(times(20, () => client.complete({})));
  expect(new Set(answers.map(({ executorId }) => executorId))).toEqual(new Set(["b"]));
});
