import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  bindService,
  type CallContext,
  clientCredentials,
  connect,
  IntakeService,
  isLoopbackHost,
  loadTls,
  requireTlsUnlessLoopback,
  serve,
  serverCredentials,
  type ServiceHandlers,
  type TlsMaterial,
} from "./index.ts";

interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

const options = { keyType: "ec", algorithm: "sha256" } as const;

async function authority(commonName: string): Promise<Pair> {
  const { cert, private: key } = await generate([{ name: "commonName", value: commonName }], {
    ...options,
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, critical: true },
    ],
  });
  return { cert: Buffer.from(cert), key: Buffer.from(key) };
}

async function issue(ca: Pair, commonName: string): Promise<Pair> {
  const { cert, private: key } = await generate([{ name: "commonName", value: commonName }], {
    ...options,
    ca: { cert: ca.cert.toString(), key: ca.key.toString() },
    extensions: [
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  });
  return { cert: Buffer.from(cert), key: Buffer.from(key) };
}

let ca: Pair;
let otherCa: Pair;
let server: Pair;
let client: Pair;
let stranger: Pair;
let folder: string;

beforeAll(async () => {
  [ca, otherCa] = await Promise.all([authority("platen test"), authority("somebody else")]);
  [server, client, stranger] = await Promise.all([
    issue(ca, "server"),
    issue(ca, "client"),
    issue(otherCa, "stranger"),
  ]);
  folder = await mkdtemp(join(tmpdir(), "platen-tls-"));
});

afterAll(() => rm(folder, { recursive: true }));

let resources = new AsyncDisposableStack();
afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

/** A server that tells how it sees its callers. */
async function start(tls: TlsMaterial, address = "localhost:0") {
  const seen: CallContext[] = [];
  const handlers = {
    getJob: (_request: unknown, context: CallContext) => {
      seen.push(context);
      return {};
    },
  } as unknown as ServiceHandlers<typeof IntakeService>;
  const credentials = serverCredentials(tls);
  const running = resources.use(
    await serve([bindService(IntakeService, handlers)], { address, credentials }),
  );
  return { address: running.address, seen, running };
}

async function call(address: string, tls: TlsMaterial, secure: boolean): Promise<void> {
  using connection = connect(address, clientCredentials(tls, secure));
  await connection.client(IntakeService).getJob({}, { timeoutMs: 10_000 });
}

describe("over TLS", () => {
  test("a client that trusts the server's authority gets through, and the server knows that it is TLS", async () => {
    const { address, seen } = await start(server);
    await call(address, { ca: ca.cert }, true);
    expect(seen).toMatchObject([{ secure: true, loopback: true }]);
  });

  test("a client that trusts another authority, or only the system's, refuses the server", async () => {
    const { address, seen } = await start(server);
    for (const trusted of [{ ca: otherCa.cert }, {}]) {
      await expect(call(address, trusted, true)).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringMatching(/certificate/),
      });
    }
    expect(seen).toEqual([]);
  });

  test("a client that trusts no authority of the server's is told how to, in words of this project", async () => {
    const { address } = await start(server);
    await expect(call(address, {}, true)).rejects.toThrow(
      /^the certificate shown there is not trusted \(unable to .+\): name the authority that signed it with --tls-ca$/,
    );
  });

  test("an address is checked against the certificate, and not sent as a server's name (RFC 6066)", async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error) => warnings.push(warning);
    process.on("warning", warn);
    resources.defer(() => void process.off("warning", warn));
    const { address } = await start(server, "0.0.0.0:0");
    const port = address.slice(address.lastIndexOf(":") + 1);
    await call(`127.0.0.1:${port}`, { ca: ca.cert }, true);
    await expect(call(`127.0.0.2:${port}`, { ca: ca.cert }, true)).rejects.toThrow(/IP: 127\.0\.0\.2 is not/);
    expect(warnings).toEqual([]);
  });

  test("a host that does not exist is said to be none", async () => {
    await expect(call("nohost.invalid:6310", {}, false)).rejects.toMatchObject({
      code: "unavailable",
      message: "there is no host of that name",
    });
  });

  test("a client without TLS is refused", async () => {
    const { address, seen } = await start(server);
    await expect(call(address, {}, false)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/^(the connection was closed at once|read ECONNRESET)$/),
    });
    expect(seen).toEqual([]);
  });

  test("a client with TLS does not talk to a server without, nor keep it from stopping", async () => {
    const { address, seen, running } = await start({});
    await expect(call(address, { ca: ca.cert }, true)).rejects.toMatchObject({
      code: "unavailable",
      message: "what answers there does not speak TLS",
    });
    expect(seen).toEqual([]);
    await running[Symbol.asyncDispose]();
  });

  test("a certificate for another host is refused", async () => {
    const { address, seen } = await start(server, "127.0.0.2:0");
    await expect(call(address, { ca: ca.cert }, true)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("127.0.0.2"),
    });
    expect(seen).toEqual([]);
  });
});

describe("mutual TLS", () => {
  test("a client with a certificate of the authority gets through", async () => {
    const { address, seen } = await start({ ...server, ca: ca.cert });
    await call(address, { ...client, ca: ca.cert }, true);
    expect(seen).toMatchObject([{ secure: true, loopback: true }]);
  });

  test("a client without a certificate, or with a stranger's, is refused", async () => {
    const { address, seen } = await start({ ...server, ca: ca.cert });
    for (const credentials of [{}, stranger]) {
      const refused = call(address, { ...credentials, ca: ca.cert }, true);
      await expect(refused).rejects.toMatchObject({ code: "unavailable" });
    }
    expect(seen).toEqual([]);
  });
});

describe("where a caller is", () => {
  test("a caller from this machine is on the loopback, also when the server listens on IPv6 and IPv4 alike", async () => {
    const { address, seen } = await start({}, "[::]:0");
    const port = address.slice(address.lastIndexOf(":") + 1);
    await call(`127.0.0.1:${port}`, {}, false);
    await call(`[::1]:${port}`, {}, false);
    expect(seen).toMatchObject([
      { secure: false, loopback: true, peer: expect.stringMatching(/^::ffff:127\.0\.0\.1:\d+$/) },
      { secure: false, loopback: true, peer: expect.stringMatching(/^::1:\d+$/) },
    ]);
  });

  const outward = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === "IPv4" && !address.internal)?.address;

  test.skipIf(!outward)("a caller from a network (skipped on a machine that has none) is not", async () => {
    const { address, seen } = await start({}, "0.0.0.0:0");
    const port = address.slice(address.lastIndexOf(":") + 1);
    await call(`${outward}:${port}`, {}, false);
    expect(seen).toMatchObject([{ secure: false, loopback: false }]);
  });

  test.each([
    ["localhost", true],
    ["127.0.0.1", true],
    ["127.255.255.254", true],
    ["::1", true],
    ["[::1]", true],
    ["::ffff:127.0.0.1", true],
    ["127.0.0.1.example.com", false],
    ["127.evil.example", false],
    ["localhost.example.com", false],
    ["128.0.0.1", false],
    ["::1:2", false],
    ["0.0.0.0", false],
    ["::", false],
    ["", false],
  ])("host %j is this machine: %s", (host, expected) => {
    expect(isLoopbackHost(host)).toBe(expected);
  });
});

describe("plaintext", () => {
  test.each(["127.0.0.1:6310", "localhost:6310", "[::1]:6310"])("is for the loopback: %s", (hostPort) => {
    expect(() => requireTlsUnlessLoopback(hostPort, false, false, "--allow-plaintext")).not.toThrow();
  });

  test.each(["192.0.2.1:6310", "0.0.0.0:6310", "[::]:6310", "print.example:6310", "127.evil.example:6310"])(
    "beyond it is refused, naming the flag that allows it: %s",
    (hostPort) => {
      const attempt = () => requireTlsUnlessLoopback(hostPort, false, false, "--allow-plaintext");
      expect(attempt).toThrow(expect.objectContaining({ code: "plaintext-refused" }));
      expect(attempt).toThrow("--allow-plaintext");
    },
  );

  test("beyond it is refused with what to do about it", () => {
    const attempt = () => requireTlsUnlessLoopback("a.example:1", false, false, "--flag", "use --tls");
    expect(attempt).toThrow("no TLS is set up for it: use --tls, or allow plaintext with --flag");
  });

  test("beyond it is allowed by the flag, and not needed with TLS", () => {
    expect(() => requireTlsUnlessLoopback("192.0.2.1:1", false, true, "--flag")).not.toThrow();
    expect(() => requireTlsUnlessLoopback("192.0.2.1:1", true, false, "--flag")).not.toThrow();
  });
});

describe("TLS files", () => {
  const write = async (name: string, content: Uint8Array | string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, content);
    return path;
  };

  test("are read", async () => {
    const certFile = await write("server.crt", server.cert);
    const keyFile = await write("server.key", server.key);
    const caFile = await write("ca.crt", ca.cert);
    const loaded = await loadTls({ certFile, keyFile, caFile });
    expect(loaded).toEqual({ ...server, ca: ca.cert });
    expect(await loadTls({})).toEqual({});
    const { address } = await start({ cert: loaded.cert!, key: loaded.key! });
    await call(address, { ca: loaded.ca! }, true);
  });

  test("that are missing, not PEM, or do not belong together are refused by name", async () => {
    const certFile = await write("a.crt", server.cert);
    const keyFile = await write("a.key", server.key);
    const otherKeyFile = await write("b.key", client.key);
    const textFile = await write("text.crt", "not a certificate\n");
    const missing = join(folder, "missing.crt");
    for (const [files, named] of [
      [{ caFile: missing }, missing],
      [{ certFile }, "key"],
      [{ keyFile }, "key"],
      [{ certFile: textFile, keyFile }, textFile],
      [{ certFile, keyFile: textFile }, textFile],
      [{ certFile, keyFile: otherKeyFile }, otherKeyFile],
      [{ caFile: textFile }, textFile],
    ] as const) {
      await expect(loadTls(files)).rejects.toMatchObject({
        code: "configuration",
        message: expect.stringContaining(named),
      });
    }
  });
});
