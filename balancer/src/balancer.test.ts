import { type ChannelOptions, ChannelCredentials } from "@grpc/grpc-js";
import { type Connection, ConversionService, PlatenError } from "@platen/proto";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { ManualDirectory } from "./fixtures/directory.ts";
import { TestExecutor } from "./fixtures/executor.ts";
import { type BalancingPolicy, connectBalanced, type Directory } from "./index.ts";

const policies: readonly BalancingPolicy[] = ["pick_first", "round_robin", "least_loaded"];

let resources = new AsyncDisposableStack();
afterEach(async () => {
  vi.useRealTimers();
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

const start = async (...ids: string[]): Promise<TestExecutor[]> =>
  Promise.all(ids.map(async (id) => resources.use(await TestExecutor.start(id))));

function open(directory: Directory, policy: BalancingPolicy, channelOptions: ChannelOptions = {}) {
  const credentials = ChannelCredentials.createInsecure();
  const connection: Connection = resources.use(
    connectBalanced("executors", { directory, policy, credentials, channelOptions }),
  );
  return connection.client(ConversionService);
}

const listOf = (...executors: TestExecutor[]) => executors.map(({ endpoint }) => endpoint);

/** Calls until every server has answered, so that all are connected; then counts from 0. */
async function warmUp(client: ReturnType<typeof open>, ...executors: TestExecutor[]): Promise<void> {
  while (executors.some(({ count }) => count === 0)) await client.complete({});
  for (const executor of executors) executor.count = 0;
}

const times = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));

describe("round robin (claim 7)", () => {
  test.each([2, 3, 4])("spreads 200 requests evenly over %i servers", async (n) => {
    const executors = await start(...times(n, String));
    const client = open(new ManualDirectory(listOf(...executors)), "round_robin");
    await warmUp(client, ...executors);
    for (let batch = 0; batch < 20; batch++) await Promise.all(times(10, () => client.complete({})));
    const counts = executors.map(({ count }) => count);
    expect(counts.reduce((a, b) => a + b)).toBe(200);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(200 % n ? 1 : 0);
  });

  test("gives a server that is listed twice one share", async () => {
    const [a, b] = (await start("a", "b")) as [TestExecutor, TestExecutor];
    const again = { id: "a-before-its-restart", address: a.endpoint.address };
    const client = open(new ManualDirectory([a.endpoint, again, b.endpoint]), "round_robin");
    await warmUp(client, a, b);
    for (let i = 0; i < 100; i++) await client.complete({});
    expect([a.count, b.count]).toEqual([50, 50]);
  });

  test("goes on in turn when the directory repeats itself", async () => {
    const executors = await start("a", "b", "c");
    const directory = new ManualDirectory(listOf(...executors));
    const client = open(directory, "round_robin");
    await warmUp(client, ...executors);
    for (let i = 0; i < 99; i++) {
      await client.complete({});
      await directory.list(listOf(...executors));
    }
    expect(executors.map(({ count }) => count)).toEqual([33, 33, 33]);
  });
});

describe("pick first", () => {
  test("sends 200 requests to one server", async () => {
    const executors = await start("a", "b", "c");
    const client = open(new ManualDirectory(listOf(...executors)), "pick_first");
    await Promise.all(times(200, () => client.complete({})));
    expect(executors.map(({ count }) => count)).toEqual([200, 0, 0]);
  });
});

describe("least loaded (claim 6)", () => {
  test("levels the load within one burst, though no call of it has started when the last is picked", async () => {
    const [a, b] = (await start("a", "b")) as [TestExecutor, TestExecutor];
    const directory = new ManualDirectory(listOf(a));
    const client = open(directory, "least_loaded");
    await warmUp(client, a);
    a.hold = b.hold = true;
    const early = times(10, () => client.complete({}));
    await a.holding(10);
    a.hold = b.hold = false;
    await directory.list(listOf(a, b));
    await warmUp(client, b);
    a.hold = b.hold = true;
    const burst = times(20, () => client.complete({}));
    await Promise.all([a.holding(15), b.holding(15)]);
    for (const { held } of [a, b]) for (const { release } of held) release();
    await Promise.all([...early, ...burst]);
  });

  test("takes equals in turn", async () => {
    const executors = await start("a", "b", "c");
    const client = open(new ManualDirectory(listOf(...executors)), "least_loaded");
    await warmUp(client, ...executors);
    for (let i = 0; i < 99; i++) await client.complete({});
    expect(executors.map(({ count }) => count)).toEqual([33, 33, 33]);
  });

  test("counts a stream until it ends", async () => {
    const [a, b] = (await start("a", "b")) as [TestExecutor, TestExecutor];
    const client = open(new ManualDirectory(listOf(a, b)), "least_loaded");
    await warmUp(client, a, b);
    a.hold = b.hold = true;
    const stream = client.convert({})[Symbol.asyncIterator]();
    const busyId = (await stream.next()).value?.executorId;
    const [busy, idle] = busyId === "a" ? [a, b] : [b, a];
    busy.count = 0;
    a.hold = b.hold = false;
    for (let i = 0; i < 10; i++) await client.complete({});
    expect([busy.count, idle.count]).toEqual([0, 10]);
    await busy.holding(1);
    busy.held[0]?.release();
    expect((await stream.next()).done).toBe(true);
    for (let i = 0; i < 10; i++) await client.complete({});
    expect([busy.count, idle.count]).toEqual([5, 15]);
  });

  test("forgets calls that were canceled at whatever moment of their start", async () => {
    const [a, b] = (await start("a", "b")) as [TestExecutor, TestExecutor];
    const directory = new ManualDirectory(listOf(a));
    const client = open(directory, "least_loaded");
    await warmUp(client, a);
    for (let i = 0; i < 200; i++) {
      const cancel = new AbortController();
      const call = client.complete({}, { signal: cancel.signal }).catch(() => {});
      for (let depth = 0; depth < i % 20; depth++) await undefined;
      cancel.abort();
      await call;
    }
    await directory.list(listOf(a, b));
    await warmUp(client, b);
    // Whatever was canceled and sent has arrived at a when later calls on its connection are answered.
    await warmUp(client, a);
    a.hold = b.hold = true;
    const calls = times(20, () => client.complete({}));
    await Promise.all([a.holding(10), b.holding(10)]);
    for (const { held } of [a, b]) for (const { release } of held) release();
    await Promise.all(calls);
  });

  /**
   * 6 callers, each with one call at a time, over servers whose calls take so many ticks of a clock that the test turns.
   * Resolves to the calls that each server did, and the ticks that all took.
   */
  async function load(policy: BalancingPolicy, calls: number, ticksOf: Record<string, number>) {
    const executors = await start(...Object.keys(ticksOf));
    const client = open(new ManualDirectory(listOf(...executors)), policy);
    await warmUp(client, ...executors);
    for (const executor of executors) executor.hold = true;
    const due = new Map<string, number>();
    const underWay = new Map<string, Promise<unknown>>();
    const waiting = () => executors.flatMap(({ held }) => held);
    let sent = 0;
    let tick = 0;
    for (; sent < calls || underWay.size; tick++) {
      while (sent < calls && underWay.size < 6) {
        const requestId = String(sent++);
        underWay.set(requestId, client.complete({ requestId }));
      }
      while (waiting().length < underWay.size) await new Promise(setImmediate);
      for (const { endpoint, held } of executors) {
        for (const { requestId, release } of held) {
          if (!due.has(requestId)) due.set(requestId, tick + (ticksOf[endpoint.id] ?? 0) - 1);
          if (due.get(requestId) !== tick) continue;
          release();
          await underWay.get(requestId);
          underWay.delete(requestId);
        }
      }
    }
    return { counts: executors.map(({ count }) => count), ticks: tick };
  }

  test("gives a server that is four times slower fewer requests than round robin, and is done sooner", async () => {
    const ticksOf = { slow: 4, b: 1, c: 1 };
    const even = await load("round_robin", 120, ticksOf);
    const least = await load("least_loaded", 120, ticksOf);
    expect(even.counts).toEqual([40, 40, 40]);
    expect(least.counts.reduce((a, b) => a + b)).toBe(120);
    // Two callers stay with each server: of 2 · (1 + 1 + ¼) calls a tick the slow one does a ninth.
    expect(least.counts[0]).toBeLessThanOrEqual(20);
    expect(least.ticks).toBeLessThan(0.7 * even.ticks);
  });
});

describe.each(policies)("%s: servers come and go", (policy) => {
  test("a server that leaves the directory gets no new request, and finishes what it has", async () => {
    const [a, b] = (await start("a", "b")) as [TestExecutor, TestExecutor];
    const directory = new ManualDirectory(listOf(a));
    const client = open(directory, policy);
    await warmUp(client, a);
    a.hold = true;
    const underWay = client.complete({ requestId: "kept" });
    await a.holding(1);
    await directory.list(listOf(b));
    await Promise.all(times(50, () => client.complete({})));
    expect([a.count, b.count]).toEqual([1, 50]);
    a.held[0]?.release();
    expect((await underWay).executorId).toBe("a");
  });

  test("a server that leaves gets no new request, though no other can be reached", async () => {
    const [a, gone] = (await start("a", "gone")) as [TestExecutor, TestExecutor];
    await gone[Symbol.asyncDispose]();
    const directory = new ManualDirectory(listOf(a));
    const client = open(directory, policy, { "grpc.enable_retries": 0 });
    await warmUp(client, a);
    await directory.list(listOf(gone));
    await expect(client.complete({})).rejects.toMatchObject({ code: "unavailable" });
    expect(a.count).toBe(0);
  });

  test("a server that shuts down in an orderly way fails no call", async () => {
    const [a, b] = (await start("a", "b")) as [TestExecutor, TestExecutor];
    const directory = new ManualDirectory(listOf(a, b));
    const client = open(directory, policy);
    await client.complete({});
    let drained: Promise<void> | undefined;
    let done = 0;
    const caller = async () => {
      while (done++ < 400) {
        await client.complete({});
        if (done > 100) {
          drained ??= a.server.drain();
          if (done > 200) await directory.list(listOf(b));
        }
      }
    };
    await Promise.all(times(8, caller));
    await drained;
    expect(a.count + b.count).toBeGreaterThanOrEqual(400);
  });

  test("with nobody there calls wait until a server comes", async () => {
    const [a, b] = (await start("a", "b")) as [TestExecutor, TestExecutor];
    const directory = new ManualDirectory();
    const client = open(directory, policy, { "grpc.enable_retries": 0 });
    const early = times(10, () => client.complete({}));
    await expect(client.complete({}, { timeoutMs: 50 })).rejects.toMatchObject({ code: "deadline-exceeded" });
    await directory.list(listOf(a));
    await Promise.all(early);
    expect(a.count).toBe(10);

    await directory.list([]);
    const late = times(10, () => client.complete({}));
    await expect(client.complete({}, { timeoutMs: 50 })).rejects.toMatchObject({ code: "deadline-exceeded" });
    await directory.list(listOf(b));
    await Promise.all(late);
    expect(b.count).toBe(10);
  });

  test("a caller that gives up while nobody is there is let go", async () => {
    const client = open(new ManualDirectory(), policy);
    const cancel = new AbortController();
    const call = client.complete({}, { signal: cancel.signal });
    cancel.abort();
    await expect(call).rejects.toMatchObject({ code: "canceled" });
  });

  test("that a server cannot be reached, and why, is said in the error", async () => {
    const [gone] = (await start("gone")) as [TestExecutor];
    await gone[Symbol.asyncDispose]();
    const client = open(new ManualDirectory(listOf(gone)), policy, { "grpc.enable_retries": 0 });
    const error = await client.complete({}).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PlatenError);
    expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining("ECONNREFUSED") });
  });
});

describe.each(["round_robin", "least_loaded"] as const)("%s", (policy) => {
  test("a server that is added gets requests", async () => {
    const [a, b] = (await start("a", "b")) as [TestExecutor, TestExecutor];
    const directory = new ManualDirectory(listOf(a));
    const client = open(directory, policy);
    await warmUp(client, a);
    await directory.list(listOf(a, b));
    await warmUp(client, b);
    a.count = 0;
    for (let i = 0; i < 100; i++) await client.complete({});
    expect([a.count, b.count]).toEqual([50, 50]);
  });
});

test.each(policies)(
  "%s: a call outlives the connection's place in the list, and its keepalive",
  async (policy) => {
    // The timer by which grpc-js closes connections that are in no list any more.
    vi.useFakeTimers({ toFake: ["setInterval"] });
    const [a, b] = (await start("a", "b")) as [TestExecutor, TestExecutor];
    const directory = new ManualDirectory(listOf(a));
    const keepaliveMs = 20;
    const client = open(directory, policy, {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.keepalive_time_ms": keepaliveMs,
    });
    a.hold = true;
    const underWay = client.complete({ requestId: "kept" });
    await a.holding(1);
    await directory.list(listOf(b));
    await client.complete({});
    vi.advanceTimersByTime(60_000);
    // Nothing tells of a ping that was answered.
    await delay(10 * keepaliveMs);
    a.held[0]?.release();
    expect((await underWay).executorId).toBe("a");
  },
);

describe("retries", () => {
  test("a server that refuses at once does not draw all calls, though it has the fewest under way", async () => {
    const [a, b] = (await start("a", "b")) as [TestExecutor, TestExecutor];
    const client = open(new ManualDirectory(listOf(a, b)), "least_loaded");
    await warmUp(client, a, b);
    a.failure = new PlatenError("unavailable", "the store is away");
    b.hold = true;
    const calls = times(20, () => client.complete({}));
    await b.holding(20);
    for (const { release } of b.held) release();
    const answers = await Promise.all(calls);
    expect(new Set(answers.map(({ executorId }) => executorId))).toEqual(new Set(["b"]));
  });

  test("a call that is answered with unavailable is tried again, elsewhere, with the same request id", async () => {
    const [a, b] = (await start("a", "b")) as [TestExecutor, TestExecutor];
    const client = open(new ManualDirectory(listOf(a, b)), "round_robin");
    await warmUp(client, a, b);
    a.failure = new PlatenError("unavailable", "draining");
    const answers = await Promise.all(times(4, (i) => client.complete({ requestId: `r${i}` })));
    expect(answers.map(({ executorId }) => executorId)).toEqual(["b", "b", "b", "b"]);
    expect(a.count).toBeGreaterThan(0);
    const ids = b.requestIds.filter(Boolean).toSorted();
    expect(ids).toEqual(["r0", "r1", "r2", "r3"]);
  });

  test("gives up after five attempts", async () => {
    const [a] = (await start("a")) as [TestExecutor];
    const client = open(new ManualDirectory(listOf(a)), "round_robin");
    a.failure = new PlatenError("unavailable", "the store is away");
    const message = "the store is away";
    await expect(client.complete({})).rejects.toMatchObject({ code: "unavailable", message });
    expect(a.count).toBe(5);
  });

  test.each(["session-exists", "session-missing", "conflict", "internal", "deadline-exceeded"] as const)(
    "%s is not tried again",
    async (code) => {
      const [a] = (await start("a")) as [TestExecutor];
      const client = open(new ManualDirectory(listOf(a)), "round_robin");
      a.failure = new PlatenError(code, "no");
      await expect(client.complete({})).rejects.toMatchObject({ code });
      expect(a.count).toBe(1);
    },
  );
});
