/** The binding's contract, by a real client and a real server over a socket: streams both ways. */
import { once } from "node:events";
import http2 from "node:http2";
import { describe, expect, test } from "vitest";
import { chunk, inFlight, source, start, thrownBy, waiting } from "./fixtures/intake.ts";
import { PlatenError } from "./index.ts";

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
