/** The binding's contract, by a real client and a real server over a socket: calls with one answer, and what all calls share. */
import { getEventListeners, once } from "node:events";
import { type ServiceError, status } from "@grpc/grpc-js";
import { describe, expect, test, vi } from "vitest";
import { chunk, start, thrownBy, waiting } from "./fixtures/intake.ts";
import {
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
} from "./index.ts";

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

test("the error table: only `unavailable` is UNAVAILABLE, for only that is tried again", () => {
  const retried = Object.entries(errorTable).filter(([, { grpc }]) => grpc === status.UNAVAILABLE);
  expect(retried.map(([code]) => code)).toEqual(["unavailable"]);
  expect(hasCode(new PlatenError("conflict", ""), "conflict", "internal")).toBe(true);
  expect(hasCode(new PlatenError("conflict", ""), "internal")).toBe(false);
});
