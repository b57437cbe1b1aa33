/** The binding's contract, by a real client and a real server over a socket: how a server stops. */
import { once } from "node:events";
import { ChannelCredentials, Client } from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";
import { describe, expect, test, vi } from "vitest";
import { start, thrownBy, waiting } from "./fixtures/intake.ts";
import { serve, serverCredentials } from "./index.ts";

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
      message: `cannot listen on ${server.address}: something listens there already`,
    });
  });
});
