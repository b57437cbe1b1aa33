import { ChannelCredentials, type ChannelOptions } from "@grpc/grpc-js";
import { clientCredentials, ConversionService } from "@platen/proto";
import { generate } from "selfsigned";
import { afterEach, expect, test, vi } from "vitest";
import type { Directory } from "./directory.ts";
import { ManualDirectory } from "./fixtures/directory.ts";
import { TestExecutor } from "./fixtures/executor.ts";
import { connectBalanced } from "./index.ts";

let resources = new AsyncDisposableStack();
afterEach(async () => {
  vi.unstubAllEnvs();
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

const start = async (id: string, options = {}): Promise<TestExecutor> =>
  resources.use(await TestExecutor.start(id, options));

function open(
  directory: Directory,
  channelOptions: ChannelOptions = {},
  credentials = ChannelCredentials.createInsecure(),
) {
  const options = { directory, policy: "round_robin", credentials, channelOptions } as const;
  return resources.use(connectBalanced("executors", options)).client(ConversionService);
}

test("systems in one process do not see each other's servers, though the service has the same name", async () => {
  const [a, b] = [await start("a"), await start("b")];
  const ofA = open(new ManualDirectory([a.endpoint]));
  const ofB = open(new ManualDirectory([b.endpoint]));
  for (let i = 0; i < 10; i++) {
    expect((await ofA.complete({})).executorId).toBe("a");
    expect((await ofB.complete({})).executorId).toBe("b");
  }
});

test("an http proxy in the environment is not asked for servers", async () => {
  vi.stubEnv("http_proxy", "http://127.0.0.1:1");
  vi.stubEnv("no_proxy", "");
  const a = await start("a");
  const client = open(new ManualDirectory([a.endpoint]), { "grpc.enable_retries": 0 });
  expect((await client.complete({})).executorId).toBe("a");
});

test("a server with an address that cannot be read is left out, and named when no other can be reached", async () => {
  const [a, gone] = [await start("a"), await start("gone")];
  await gone[Symbol.asyncDispose]();
  const broken = { id: "broken", address: "somewhere" };
  const directory = new ManualDirectory([broken, a.endpoint]);
  const client = open(directory, { "grpc.enable_retries": 0 });
  expect((await client.complete({})).executorId).toBe("a");
  await directory.list([broken, gone.endpoint]);
  await expect(client.complete({})).rejects.toThrow('broken at "somewhere"');
});

test("while the directory cannot be watched, the servers known go on", async () => {
  const [a, b] = [await start("a"), await start("b")];
  const directory = new ManualDirectory([a.endpoint]);
  const client = open(directory, { "grpc.enable_retries": 0 });
  await client.complete({});
  directory.fail(new Error("the store is away"));
  for (let i = 0; i < 10; i++) await client.complete({});
  expect(a.count).toBe(11);
  await directory.list([b.endpoint]);
  expect((await client.complete({})).executorId).toBe("b");
  expect(directory.begun).toBeGreaterThan(1);
});

test("a directory that cannot be watched from the start is named in the error, and used once it can", async () => {
  const a = await start("a");
  const directory = new ManualDirectory();
  directory.fail(new Error("the store is away"));
  const client = open(directory, { "grpc.enable_retries": 0 });
  await expect(client.complete({})).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("the store is away"),
  });
  await directory.list([a.endpoint]);
  expect((await client.complete({})).executorId).toBe("a");
});

test("disposing ends the watch; calls after it are canceled", async () => {
  const a = await start("a");
  const directory = new ManualDirectory([a.endpoint]);
  const credentials = ChannelCredentials.createInsecure();
  const connection = connectBalanced("executors", { directory, policy: "round_robin", credentials });
  const client = connection.client(ConversionService);
  await client.complete({});
  const { ended } = directory;
  connection[Symbol.dispose]();
  await ended;
  await expect(client.complete({})).rejects.toMatchObject({ code: "canceled" });
});

test("a connection that has been idle lets go of the directory, and comes back to it with the next call", async () => {
  const [a, b] = [await start("a"), await start("b")];
  const directory = new ManualDirectory([a.endpoint]);
  const client = open(directory, { "grpc.client_idle_timeout_ms": 1000 });
  const { ended } = directory;
  expect((await client.complete({})).executorId).toBe("a");
  await ended;
  void directory.list([b.endpoint]);
  expect((await client.complete({})).executorId).toBe("b");
  expect(directory.begun).toBe(2);
});

test("over TLS a server must prove the host under which it is listed", async () => {
  const name = [{ name: "commonName", value: "an executor" }];
  const extensions = [
    { name: "subjectAltName" as const, altNames: [{ type: 2 as const, value: "localhost" }] },
  ];
  const { cert, private: key } = await generate(name, { keyType: "ec", algorithm: "sha256", extensions });
  const a = await start("a", { tls: { cert: Buffer.from(cert), key: Buffer.from(key) } });
  const credentials = clientCredentials({ ca: Buffer.from(cert) }, true);
  const directory = new ManualDirectory([a.endpoint]);
  const client = open(directory, { "grpc.enable_retries": 0 }, credentials);
  await expect(client.complete({})).rejects.toThrow(/IP: 127\.0\.0\.1 is not in the cert's list/);
  const port = a.endpoint.address.split(":")[1];
  await directory.list([{ id: "a", address: `localhost:${port}` }]);
  expect((await client.complete({})).executorId).toBe("a");
});
