/** The binding's contract, by a real client and a real server over a socket. */
import { getEventListeners, once } from "node:events";
import http2 from "node:http2";
import { ChannelCredentials, Client, type ServiceError, status } from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  bindService,
  type CallContext,
  clientCredentials,
  connect,
  ConversionService,
  errorTable,
  type ErrorCode,
  hasCode,
  IntakeService,
  JobState,
  maxMessageBytes,
  PlatenError,
  serve,
  serverCredentials,
  type ServiceHandlers,
} from "./index.ts";

let resources = new AsyncDisposableStack();
afterEach(async () => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

type Handlers = Partial<ServiceHandlers<typeof IntakeService>>;

/** A server of IntakeService with these handlers, a client, and what the server logged. */
async function start(handlers: Handlers) {
  const logged: PlatenError[] = [];
  const server = resources.use(
    await serve([bindService(IntakeService, handlers as ServiceHandlers<typeof IntakeService>)], {
      address: "127.0.0.1:0",
      credentials: serverCredentials({}),
      log: (error) => logged.push(error),
    }),
  );
  const connection = resources.use(connect(server.address, clientCredentials({}, false)));
  return { client: connection.client(IntakeService), connection, server, logged };
}

const thrownBy = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

/** A handler's view of a call that never ends by itself. */
function waiting() {
  const begun = Promise.withResolvers<CallContext>();
  const wait = async (context: CallContext) => {
    begun.resolve(context);
    if (!context.signal.aborted) await once(context.signal, "abort");
  };
  return { begun: begun.promise, wait };
}

/** Messages of 64 KiB, and how many were taken from it. */
function source<T>(count: number, make: (bytes: Uint8Array) => T) {
  const state = { taken: 0, closed: false };
  const bytes = new Uint8Array(64 * 1024);
  async function* messages() {
    try {
      for (; state.taken < count; ) {
        state.taken++;
        yield make(bytes);
      }
    } finally {
      state.closed = true;
    }
  }
  return { state, messages };
}

const chunk = (bytes: Uint8Array) => ({ part: { case: "chunk" as const, value: bytes } });
/** Most messages in flight at a time: the buffers of both sides and of the sockets between them. */
const inFlight = 100;

describe("unary calls", () => {
  test("carry request, answer, headers and the caller's address", async () => {
    let context: CallContext | undefined;
    const { client } = await start({
      getJob: ({ jobId }, callContext) => {
        context = callContext;
        return { job: { jobId, state: JobState.PENDING } };
      },
    });
    const headers = { authorization: "Bearer token", "x-other": "1" };
    const { job } = await client.getJob({ jobId: "7" }, { headers });
    expect(job).toMatchObject({ jobId: "7", state: JobState.PENDING });
    expect(context?.header("authorization")).toBe("Bearer token");
    expect(context?.header("absent")).toBeUndefined();
    expect(context?.peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(context).toMatchObject({ secure: false, loopback: true });
    expect(context?.signal.aborted).toBe(false);
  });

  test.each(Object.keys(errorTable) as ErrorCode[])("an error %s arrives as it was thrown", async (code) => {
    const message = `naïve 100% "quoted" 紙\nnext line`;
    const { client } = await start({
      getJob: () => {
        throw new PlatenError(code, message);
      },
    });
    const error = await thrownBy(client.getJob({}));
    expect(error).toBeInstanceOf(PlatenError);
    expect(error).toMatchObject({ code, message, cause: { code: errorTable[code].grpc } });
  });

  test("of an error that nobody foresaw the caller learns nothing, the log everything", async () => {
    const cause = new Error("cannot open /var/lib/platen/secret");
    const { client, logged } = await start({ getJob: () => Promise.reject(cause) });
    const error = (await thrownBy(client.getJob({}))) as PlatenError;
    expect(error.code).toBe("internal");
    const told = JSON.stringify([error.message, (error.cause as ServiceError).metadata.toJSON()]);
    expect(told).not.toMatch(/secret|platen\/|handler|\.ts/);
    expect(logged).toMatchObject([{ code: "internal", cause }]);
  });

  test.each([
    ["half a surrogate pair", "cut \ud83d", "cut \ufffd"],
    ["a message too long for a header", "紙".repeat(100_000), "紙".repeat(2000)],
  ])("survive an error with %s", async (_name, thrown, received) => {
    const { client } = await start({
      getJob: () => {
        throw new PlatenError("job-unknown", thrown);
      },
    });
    await expect(client.getJob({})).rejects.toMatchObject({ code: "job-unknown", message: received });
  });

  test("run into their deadline, on both sides", async () => {
    const { begun, wait } = waiting();
    const { client } = await start({
      getJob: async (_request, context) => {
        await wait(context);
        return {};
      },
    });
    const call = thrownBy(client.getJob({}, { timeoutMs: 100 }));
    const { signal } = await begun;
    if (!signal.aborted) await once(signal, "abort");
    expect(await call).toMatchObject({ code: "deadline-exceeded" });
  });

  test("are canceled by their signal, on both sides", async () => {
    const { begun, wait } = waiting();
    const { client, logged } = await start({
      getJob: async (_request, context) => {
        await wait(context);
        throw new Error("woken up in the middle of it");
      },
    });
    const cancel = new AbortController();
    const call = thrownBy(client.getJob({}, { signal: cancel.signal }));
    const { signal } = await begun;
    cancel.abort();
    expect(await call).toMatchObject({ code: "canceled" });
    if (!signal.aborted) await once(signal, "abort");
    expect(signal.reason).toMatchObject({ code: "canceled" });
    await new Promise(setImmediate);
    expect(logged).toEqual([]);
  });

  test("that are canceled before they begin reach no server", async () => {
    let calls = 0;
    const { client } = await start({ getJob: () => ({ job: { jobId: String(++calls) } }) });
    const signal = AbortSignal.abort();
    await expect(client.getJob({}, { signal })).rejects.toMatchObject({ code: "canceled" });
    await client.getJob({});
    expect(calls).toBe(1);
  });

  test("that are canceled at whatever moment of their start do not run on at the server", async () => {
    const begun: AbortSignal[] = [];
    const { client } = await start({
      getJob: async ({ jobId }, { signal }) => {
        if (jobId === "last") return {};
        begun.push(signal);
        await once(signal, "abort");
        return {};
      },
    });
    await client.getJob({ jobId: "last" });
    for (let depth = 0; depth < 30; depth++) {
      const cancel = new AbortController();
      const call = thrownBy(client.getJob({}, { signal: cancel.signal }));
      for (let i = 0; i < depth; i++) await undefined;
      cancel.abort();
      expect(await call).toMatchObject({ code: "canceled" });
    }
    await client.getJob({ jobId: "last" });
    await Promise.all(begun.map((signal) => signal.aborted || once(signal, "abort")));
  });

  test("to a service that is not served are `unimplemented`", async () => {
    const { connection } = await start({});
    const call = connection.client(ConversionService).complete({});
    await expect(call).rejects.toMatchObject({ code: "unimplemented" });
  });

  test("to nobody are `unavailable`", async () => {
    const { client, server } = await start({});
    await server[Symbol.asyncDispose]();
    await expect(client.getJob({})).rejects.toMatchObject({ code: "unavailable" });
  });

  test("to this machine go past an http proxy in the environment", async () => {
    vi.stubEnv("http_proxy", "http://127.0.0.1:1");
    vi.stubEnv("no_proxy", "");
    const { client } = await start({ getJob: ({ jobId }) => ({ job: { jobId } }) });
    expect((await client.getJob({ jobId: "7" })).job?.jobId).toBe("7");
  });

  test("on a closed connection are canceled", async () => {
    const { client, connection } = await start({});
    connection[Symbol.dispose]();
    await expect(client.getJob({})).rejects.toMatchObject({ code: "canceled" });
  });
});

describe("messages", () => {
  const overhead = 16;

  test("pass up to 4 MiB, both ways", async () => {
    const { client } = await start({ getJob: ({ jobId }) => ({ job: { jobId } }) });
    const jobId = "x".repeat(maxMessageBytes - overhead);
    expect((await client.getJob({ jobId })).job?.jobId).toHaveLength(jobId.length);
  });

  test("over 4 MiB are refused on the way there", async () => {
    let calls = 0;
    const { client } = await start({ getJob: () => ({ job: { jobId: String(++calls) } }) });
    const call = client.getJob({ jobId: "x".repeat(maxMessageBytes) });
    await expect(call).rejects.toMatchObject({ code: "message-too-large" });
    expect(calls).toBe(0);
  });

  test("over 4 MiB are refused by the server, whatever the client allows itself", async () => {
    let calls = 0;
    const { server } = await start({ getJob: () => ({ job: { jobId: String(++calls) } }) });
    const limits = { "grpc.max_send_message_length": -1 };
    using connection = connect(server.address, clientCredentials({}, false), limits);
    const call = connection.client(IntakeService).getJob({ jobId: "x".repeat(maxMessageBytes) });
    await expect(call).rejects.toMatchObject({ code: "message-too-large" });
    expect(calls).toBe(0);
  });

  test("over 4 MiB are refused on the way back", async () => {
    const { client } = await start({
      getJob: () => ({ job: { jobId: "x".repeat(maxMessageBytes) } }),
      watchJob: async function* () {
        for (;;) yield { event: { message: "x".repeat(maxMessageBytes) } };
      },
    });
    await expect(client.getJob({})).rejects.toMatchObject({ code: "message-too-large" });
    const stream = client.watchJob({})[Symbol.asyncIterator]();
    await expect(stream.next()).rejects.toMatchObject({ code: "message-too-large" });
  });
});

describe("server streams", () => {
  const event = (bytes: Uint8Array) => ({ event: { message: "x".repeat(bytes.length) } });

  test("arrive whole and in order", async () => {
    const { client } = await start({
      watchJob: async function* () {
        for (let i = 1n; i <= 1000n; i++) yield { event: { sequence: i } };
      },
    });
    const sequences = await Array.fromAsync(client.watchJob({}), ({ event }) => event?.sequence);
    expect(sequences).toEqual(Array.from({ length: 1000 }, (_, i) => BigInt(i + 1)));
  });

  test("pause the handler while the caller does not read", async () => {
    const { state, messages } = source(1000, event);
    const { client } = await start({ watchJob: messages });
    let read = 0;
    for await (const _ of client.watchJob({})) {
      read++;
      expect(state.taken - read).toBeLessThan(inFlight);
      await new Promise(setImmediate);
    }
    expect(read).toBe(1000);
    expect(state.closed).toBe(true);
  });

  test("that were paused a thousand times leave no listeners", async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error) => warnings.push(warning);
    process.on("warning", warn);
    const { client } = await start({ watchJob: source(1000, event).messages });
    for await (const _ of client.watchJob({})) await new Promise(setImmediate);
    process.off("warning", warn);
    expect(warnings).toEqual([]);
  });

  test("deliver what came before an error, then the error", async () => {
    const { client } = await start({
      watchJob: async function* () {
        yield { event: { sequence: 1n } };
        yield { event: { sequence: 2n } };
        throw new PlatenError("job-unknown", "gone");
      },
    });
    const seen: unknown[] = [];
    const error = await thrownBy(
      (async () => {
        for await (const { event } of client.watchJob({})) seen.push(event?.sequence);
      })(),
    );
    expect(seen).toEqual([1n, 2n]);
    expect(error).toMatchObject({ code: "job-unknown", message: "gone" });
  });

  test.each(["leaves the loop", "aborts"])("end the handler when the caller %s", async (how) => {
    const closed = Promise.withResolvers<AbortSignal>();
    const { client, logged } = await start({
      watchJob: async function* (_request, { signal }) {
        try {
          for (;;) yield { event: { sequence: 1n } };
        } finally {
          closed.resolve(signal);
        }
      },
    });
    const cancel = new AbortController();
    const loop = async () => {
      for await (const _ of client.watchJob({}, { signal: cancel.signal })) {
        if (how === "leaves the loop") break;
        cancel.abort();
      }
    };
    const error = await thrownBy(loop());
    if (how === "aborts") expect(error).toMatchObject({ code: "canceled" });
    else expect(error).toBeUndefined();
    expect((await closed.promise).reason).toMatchObject({ code: "canceled" });
    expect(logged).toEqual([]);
  });

  test("run into their deadline", async () => {
    const { begun, wait } = waiting();
    const { client } = await start({
      watchJob: async function* (_request, context) {
        yield {};
        await wait(context);
      },
    });
    const stream = client.watchJob({}, { timeoutMs: 100 })[Symbol.asyncIterator]();
    await stream.next();
    const { signal } = await begun;
    await expect(stream.next()).rejects.toMatchObject({ code: "deadline-exceeded" });
    if (!signal.aborted) await once(signal, "abort");
  });
});

describe("client streams", () => {
  /** Takes all messages; resolves to how many there were. */
  const countAll = async (requests: AsyncIterable<unknown>) => {
    let sizeBytes = 0n;
    for await (const _ of requests) sizeBytes++;
    return { sizeBytes };
  };

  test("arrive whole and in order", async () => {
    const received: number[] = [];
    const { client } = await start({
      uploadDocument: async (requests) => {
        for await (const { part } of requests) if (part.case === "chunk") received.push(part.value[0] ?? -1);
        return { documentId: "d" };
      },
    });
    async function* upload() {
      for (let i = 0; i < 256; i++) yield chunk(Uint8Array.of(i));
    }
    expect(await client.uploadDocument(upload())).toMatchObject({ documentId: "d" });
    expect(received).toEqual(Array.from({ length: 256 }, (_, i) => i));
  });

  test("pause the caller's source while the handler does not read", async () => {
    const { state, messages } = source(1000, chunk);
    let read = 0;
    let furthest = 0;
    const { client } = await start({
      uploadDocument: async (requests) => {
        for await (const _ of requests) {
          furthest = Math.max(furthest, state.taken - ++read);
          await new Promise(setImmediate);
        }
        return {};
      },
    });
    await client.uploadDocument(messages());
    expect(read).toBe(1000);
    expect(furthest).toBeLessThan(inFlight);
  });

  test("that are refused early, in full flow, end with the refusal, and let go of their source", async () => {
    const { state, messages } = source(Number.POSITIVE_INFINITY, chunk);
    const { client } = await start({
      uploadDocument: async (requests) => {
        for await (const _ of requests) throw new PlatenError("document-too-large", "no more");
        return {};
      },
    });
    const call = client.uploadDocument(messages());
    await expect(call).rejects.toMatchObject({ code: "document-too-large", message: "no more" });
    while (!state.closed) await new Promise(setImmediate);
  });

  test.each(["refused", "answered", "canceled"])(
    "end when they are %s while their source is at rest",
    async (how) => {
      const cancel = new AbortController();
      const seen = Promise.withResolvers<unknown>();
      const { client, logged } = await start({
        uploadDocument: async (requests, { signal }) => {
          if (how === "refused") throw new PlatenError("document-too-large", "no");
          if (how === "canceled") {
            cancel.abort();
            await once(signal, "abort");
            const error = await thrownBy(countAll(requests));
            seen.resolve(error);
            throw error;
          }
          return { documentId: "early" };
        },
      });
      const wake = Promise.withResolvers<void>();
      const closed = Promise.withResolvers<void>();
      async function* resting() {
        try {
          yield chunk(Uint8Array.of(1));
          await wake.promise;
          yield chunk(Uint8Array.of(2));
        } finally {
          closed.resolve();
        }
      }
      const call = client.uploadDocument(resting(), { signal: cancel.signal });
      if (how === "answered") expect((await call).documentId).toBe("early");
      else {
        const code = how === "refused" ? "document-too-large" : "canceled";
        expect(await thrownBy(call)).toMatchObject({ code });
      }
      wake.resolve();
      await closed.promise;
      if (how === "canceled") expect(await seen.promise).toMatchObject({ code: "canceled" });
      expect(logged).toEqual([]);
    },
  );

  test("that break off are seen as canceled by the handler", async () => {
    const begun = Promise.withResolvers<void>();
    const seen = Promise.withResolvers<unknown>();
    const { server, logged } = await start({
      uploadDocument: async (requests) => {
        begun.resolve();
        const error = await thrownBy(countAll(requests));
        seen.resolve(error);
        throw error;
      },
    });
    const session = http2.connect(`http://${server.address}`);
    const path = "/platen.v1.IntakeService/UploadDocument";
    const request = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc" });
    session.on("error", () => {});
    request.on("error", () => {});
    request.write(Uint8Array.of(0, 0, 0, 0, 0));
    await begun.promise;
    session.socket.destroy();
    expect(await seen.promise).toMatchObject({ code: "canceled" });
    await new Promise(setImmediate);
    expect(logged).toEqual([]);
  });

  test("that are canceled in full flow are seen as canceled by a handler that is behind", async () => {
    const cancel = new AbortController();
    const seen = Promise.withResolvers<unknown>();
    const { client, logged } = await start({
      uploadDocument: async (requests, { signal }) => {
        const rest = requests[Symbol.asyncIterator]();
        await rest.next();
        cancel.abort();
        if (!signal.aborted) await once(signal, "abort");
        const error = await thrownBy(countAll({ [Symbol.asyncIterator]: () => rest }));
        seen.resolve(error);
        throw error;
      },
    });
    const { messages } = source(Number.POSITIVE_INFINITY, chunk);
    const error = await thrownBy(client.uploadDocument(messages(), { signal: cancel.signal }));
    expect(error).toMatchObject({ code: "canceled" });
    expect(await seen.promise).toMatchObject({ code: "canceled" });
    await new Promise(setImmediate);
    expect(logged).toEqual([]);
  });

  test("whose source fails at once throw its error, and do not run on at the server", async () => {
    const begun: AbortSignal[] = [];
    const { client } = await start({
      getJob: () => ({}),
      uploadDocument: async (requests, { signal }) => {
        begun.push(signal);
        return countAll(requests);
      },
    });
    const broken = new Error("no such file");
    await client.getJob({});
    for (let depth = 0; depth < 20; depth++) {
      const failing = async function* () {
        for (let i = 0; i < depth; i++) await undefined;
        yield* [];
        throw broken;
      };
      expect(await thrownBy(client.uploadDocument(failing()))).toBe(broken);
    }
    await client.getJob({});
    await Promise.all(begun.map((signal) => signal.aborted || once(signal, "abort")));
  });

  test("whose source fails throw its error; the handler sees them canceled", async () => {
    const begun = Promise.withResolvers<void>();
    const seen = Promise.withResolvers<unknown>();
    const { client, logged } = await start({
      uploadDocument: async (requests, { signal }) => {
        begun.resolve();
        const error = await thrownBy(countAll(requests));
        seen.resolve(error);
        if (!signal.aborted) await once(signal, "abort");
        throw error;
      },
    });
    const broken = new Error("the disk is gone");
    async function* failing() {
      yield chunk(Uint8Array.of(1));
      await begun.promise;
      throw broken;
    }
    expect(await thrownBy(client.uploadDocument(failing()))).toBe(broken);
    expect(await seen.promise).toMatchObject({ code: "canceled" });
    expect(logged).toEqual([]);
  });
});

test("a signal that lives for a thousand calls collects no listeners", async () => {
  const { client } = await start({
    getJob: () => ({}),
    watchJob: async function* () {
      yield {};
    },
    uploadDocument: async () => ({}),
  });
  const { signal } = new AbortController();
  async function* upload() {
    yield chunk(Uint8Array.of(1));
  }
  for (let i = 0; i < 334; i++) {
    await Promise.all([
      client.getJob({}, { signal }),
      Array.fromAsync(client.watchJob({}, { signal })),
      client.uploadDocument(upload(), { signal }),
    ]);
  }
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

describe("a server that stops", () => {
  test("drains: what is under way ends well, however long it takes; new calls are `unavailable`", async () => {
    const { begun, wait } = waiting();
    const release = Promise.withResolvers<void>();
    const { client, server } = await start({
      getJob: async ({ jobId }, context) => {
        if (jobId) await Promise.race([wait(context), release.promise]);
        return { job: { jobId } };
      },
    });
    await client.getJob({});
    const order: string[] = [];
    const call = client.getJob({ jobId: "done" }).then(({ job }) => order.push(`${job?.jobId}`));
    await begun;
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const drained = server.drain().then(() => order.push("drained"));
    await expect(client.getJob({})).rejects.toMatchObject({ code: "unavailable" });
    await vi.advanceTimersByTimeAsync(2000);
    release.resolve();
    await Promise.all([call, drained]);
    expect(order).toEqual(["done", "drained"]);
  });

  test("drains: what a handler has written arrives, however slowly it is read", async () => {
    const written = Promise.withResolvers<void>();
    const { client, server } = await start({
      watchJob: async function* () {
        for (let i = 0; i < 10; i++) yield { event: { message: "x".repeat(1024 * 1024) } };
        written.resolve();
      },
    });
    const stream = client.watchJob({})[Symbol.asyncIterator]();
    await stream.next();
    await written.promise;
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const drained = server.drain();
    await vi.advanceTimersByTimeAsync(2000);
    for (let i = 1; i < 10; i++) expect((await stream.next()).done).toBe(false);
    expect((await stream.next()).done).toBe(true);
    await drained;
  });

  test("drains at once when nothing is under way", async () => {
    const { client, server } = await start({ getJob: () => ({}) });
    await client.getJob({});
    await server.drain();
  });

  test("is disposed of: what is under way is `unavailable`, not canceled", async () => {
    const { begun, wait } = waiting();
    const { client, server } = await start({
      getJob: async (_request, context) => {
        await wait(context);
        throw context.signal.reason;
      },
      watchJob: async function* (_request, context) {
        yield {};
        await once(context.signal, "abort");
      },
    });
    const unary = thrownBy(client.getJob({}));
    const stream = client.watchJob({})[Symbol.asyncIterator]();
    await stream.next();
    const next = thrownBy(stream.next());
    const { signal } = await begun;
    await server[Symbol.asyncDispose]();
    expect(signal.reason).toMatchObject({ code: "unavailable" });
    expect(await unary).toMatchObject({ code: "unavailable" });
    expect(await next).toMatchObject({ code: "unavailable" });
  });

  test("is disposed of while it drains", async () => {
    const { begun, wait } = waiting();
    const { client, server } = await start({
      getJob: async (_request, context) => {
        await wait(context);
        return {};
      },
    });
    const call = thrownBy(client.getJob({}));
    await begun;
    const drained = server.drain();
    await server[Symbol.asyncDispose]();
    await drained;
    expect(await call).toMatchObject({ code: "unavailable" });
  });

  test("tells those who watch its health, and does not wait for them", async () => {
    const { server } = await start({});
    using raw = Object.assign(new Client(server.address, ChannelCredentials.createInsecure()), {
      [Symbol.dispose]() {
        raw.close();
      },
    });
    const { path, requestSerialize, responseDeserialize } = healthService.Watch!;
    const watch = raw.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { service: "" });
    const statuses = watch[Symbol.asyncIterator]();
    expect((await statuses.next()).value).toMatchObject({ status: "SERVING" });
    const drained = server.drain();
    expect((await statuses.next()).value).toMatchObject({ status: "NOT_SERVING" });
    expect((await statuses.next()).done).toBe(true);
    await drained;
  });

  test("cannot listen where another one does: `configuration`, naming the address", async () => {
    const { server } = await start({});
    const again = serve([], { address: server.address, credentials: serverCredentials({}) });
    await expect(again).rejects.toMatchObject({
      code: "configuration",
      message: expect.stringContaining(server.address),
    });
  });
});

test("the error table: only `unavailable` is UNAVAILABLE, for only that is tried again", () => {
  const retried = Object.entries(errorTable).filter(([, { grpc }]) => grpc === status.UNAVAILABLE);
  expect(retried.map(([code]) => code)).toEqual(["unavailable"]);
  expect(hasCode(new PlatenError("conflict", ""), "conflict", "internal")).toBe(true);
  expect(hasCode(new PlatenError("conflict", ""), "internal")).toBe(false);
});
