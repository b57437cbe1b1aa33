import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { nkeys } from "nats";
import { generate } from "selfsigned";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startNatsServer } from "../../testing/nats-server.ts";
import { startTcpProxy } from "../../testing/tcp-proxy.ts";
import { checkReplicas } from "./connection-options.ts";
import { NatsLink } from "./link.ts";
import { openNatsKeyValueStore } from "./nats-key-value.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "platen-link-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const hostOf = (url: string): string => new URL(url).host;

/** Connects, writes and reads. */
async function expectWorking(config: Parameters<typeof NatsLink.open>[0]): Promise<void> {
  await using link = await NatsLink.open(config);
  await using store = openNatsKeyValueStore(link);
  const bucket = await store.bucket("b");
  await bucket.put("a", Buffer.from("1"));
  expect((await bucket.get("a"))?.value).toEqual(new Uint8Array(Buffer.from("1")));
}

const expectRefused = (config: Parameters<typeof NatsLink.open>[0], code: string): Promise<void> =>
  expect(NatsLink.open(config)).rejects.toMatchObject({ code });

describe("addresses", () => {
  test("are hosts with or without a scheme; anything else is a matter of configuration", async () => {
    await using server = await startNatsServer();
    await expectWorking({ servers: [server.url] });
    await expectWorking({ servers: [hostOf(server.url)] });
    await expectWorking({ servers: ["127.0.0.1:1", server.url] });
    for (const servers of [[], [""], ["http://127.0.0.1:4222"], ["nats://"], ["a b"]]) {
      await expectRefused({ servers }, "configuration");
    }
  });

  test("beyond the loopback need TLS, or a flag", async () => {
    await expectRefused({ servers: ["nats.example.net"] }, "plaintext-refused");
    await expectRefused({ servers: ["127.0.0.1:4222", "10.0.0.1:4222"] }, "plaintext-refused");
  });

  test("where nobody answers are unavailable, in bounded time", async () => {
    await expectRefused({ servers: ["127.0.0.1:1"] }, "unavailable");
    const silent = createServer(() => {}).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    await expectRefused({ servers: [`127.0.0.1:${port}`], timeoutMs: 300 }, "unavailable");
    silent.close();
  });

  test("of a server without JetStream are a matter of configuration", async () => {
    await using server = await startNatsServer({ jetStream: false });
    await expectRefused({ servers: [server.url] }, "configuration");
  });
});

describe("credentials", () => {
  test("are a user and password, or a token, before the host", async () => {
    await using users = await startNatsServer({
      config: 'authorization { user: "press", password: "ink & paper" }',
    });
    await expectWorking({
      servers: [`nats://press:${encodeURIComponent("ink & paper")}@${hostOf(users.url)}`],
    });
    await expectRefused({ servers: [`nats://press:wrong@${hostOf(users.url)}`] }, "configuration");
    await expectRefused({ servers: [users.url] }, "configuration");
    await using tokens = await startNatsServer({ config: 'authorization { token: "s3cret" }' });
    await expectWorking({ servers: [`s3cret@${hostOf(tokens.url)}`] });
    await expectRefused({ servers: [`wrong@${hostOf(tokens.url)}`] }, "configuration");
  });

  test("are a file with JWT and seed", async () => {
    const { config, credentials } = makeCredentials();
    await using server = await startNatsServer({ config });
    const [good, bad] = [join(dir, "good.creds"), join(dir, "bad.creds")];
    await writeFile(good, credentials);
    await writeFile(bad, "not at all");
    await expectWorking({ servers: [server.url], credentialsFile: good });
    await expectRefused({ servers: [server.url] }, "configuration");
    await expectRefused({ servers: [server.url], credentialsFile: bad }, "configuration");
    await expectRefused({ servers: [server.url], credentialsFile: join(dir, "missing") }, "configuration");
  });
});

test("tls:// verifies the server, and shows it this side's certificate", async () => {
  const files = await makeCertificates(dir);
  await using server = await startNatsServer({
    config: `tls { cert_file: "${files.certFile}", key_file: "${files.keyFile}", ca_file: "${files.caFile}", verify: true }`,
  });
  const byName = (url: string) => [`tls://localhost:${new URL(url).port}`];
  const servers = byName(server.url);
  await expectWorking({ servers, tls: files });
  await expect(NatsLink.open({ servers, tls: { caFile: files.caFile }, timeoutMs: 500 })).rejects.toThrow(
    "certificate",
  );
  await expectRefused({ servers, tls: { ...files, caFile: files.otherCaFile } }, "configuration");
  await expectRefused({ servers, tls: { ...files, keyFile: join(dir, "missing") } }, "configuration");
  await using plain = await startNatsServer();
  await expectRefused({ servers: byName(plain.url), tls: files }, "configuration");
  await expectRefused({ servers: [`tls://${hostOf(server.url)}`], tls: files }, "configuration");
});

test("several replicas are for servers that compare revisions safely among them", () => {
  for (const version of ["2.9.10", "2.10.29", "2.12.1"]) checkReplicas(1, version);
  for (const version of ["2.11.0", "2.12.0-preview.1", "3.0.0"]) checkReplicas(3, version);
  for (const version of ["2.9.10", "2.10.29", "1.4.1", ""]) {
    expect(() => checkReplicas(3, version)).toThrow(
      expect.objectContaining({ code: "configuration" }) as Error,
    );
  }
});

test("streams and buckets that many open at once are there for all of them", async () => {
  await using server = await startNatsServer();
  await using links = new AsyncDisposableStack();
  const opened = await Promise.all(Array.from({ length: 8 }, () => NatsLink.open({ servers: [server.url] })));
  for (const link of opened) links.use(link);
  for (let round = 0; round < 10; round++) {
    await Promise.all(
      opened.map(async (link) => {
        await using store = openNatsKeyValueStore(link);
        await store.bucket(`b${round}`);
        await link.ensureStream({ name: `s${round}`, subjects: [`s${round}.>`] });
      }),
    );
  }
});

test("a stream whose subjects another one has is opened once that is gone, and refused when it stays", async () => {
  await using server = await startNatsServer();
  await using link = await NatsLink.open({ servers: [server.url], timeoutMs: 1000 });
  const wanted = { name: "wanted", subjects: ["a.>"] };
  await link.ensureStream({ name: "other", subjects: ["a.b"] });
  await expect(link.ensureStream(wanted)).rejects.toThrow(/open the stream wanted.*overlap/);
  const opening = link.ensureStream(wanted);
  await delay(200);
  await link.manager.streams.delete("other");
  await opening;
  expect((await link.manager.streams.info("wanted")).config.subjects).toEqual(["a.>"]);
});

describe("while the server is away", () => {
  test("operations fail with unavailable after their time, and work again when it is back", async () => {
    await using server = await startNatsServer();
    await using link = await NatsLink.open({ servers: [server.url], timeoutMs: 400 });
    await using store = openNatsKeyValueStore(link);
    const bucket = await store.bucket("b");
    const revision = await bucket.put("a", Buffer.from("1"));
    await server.stop();
    const away = { code: "unavailable" };
    await expect(bucket.get("a")).rejects.toMatchObject(away);
    await expect(bucket.put("a", Buffer.from("2"))).rejects.toMatchObject(away);
    await expect(bucket.create("b", Buffer.from("2"))).rejects.toMatchObject(away);
    await expect(bucket.delete("a")).rejects.toMatchObject(away);
    await expect(bucket.entries()[Symbol.asyncIterator]().next()).rejects.toMatchObject(away);
    await expect(
      bucket.watch(undefined, new AbortController().signal)[Symbol.asyncIterator]().next(),
    ).rejects.toMatchObject(away);
    await expect(store.bucket("other")).rejects.toMatchObject(away);
    await server.start();
    await expect.poll(() => link.isConnected, { timeout: 20_000 }).toBe(true);
    expect((await bucket.get("a"))?.revision).toBe(revision);
    await bucket.update("a", Buffer.from("2"), revision);
  });

  test("an operation waits for a server that is only restarted", async () => {
    await using server = await startNatsServer();
    await using link = await NatsLink.open({ servers: [server.url], timeoutMs: 20_000 });
    await using store = openNatsKeyValueStore(link);
    const bucket = await store.bucket("b");
    await bucket.put("a", Buffer.from("1"));
    await server.stop();
    await expect.poll(() => link.isConnected).toBe(false);
    const reading = bucket.get("a");
    const writing = bucket.put("b", Buffer.from("1"));
    await server.start();
    expect((await reading)?.key).toBe("a");
    expect(await writing).toBeGreaterThan(0);
  });

  test("what waits for an answer when the connection goes fails at once, or is asked again", async () => {
    await using server = await startNatsServer();
    await using proxy = await startTcpProxy(Number(new URL(server.url).port));
    await using link = await NatsLink.open({ servers: [`127.0.0.1:${proxy.port}`], timeoutMs: 20_000 });
    let asked = 0;
    const neverAnswered = () => {
      asked++;
      return asked === 1 ? new Promise<string>(() => {}) : Promise.resolve("answer");
    };
    const once = link.call("write", () => new Promise<string>(() => {}));
    const again = link.call("read", neverAnswered, { idempotent: true });
    await expect.poll(() => asked).toBe(1);
    proxy.cut();
    await expect(once).rejects.toMatchObject({ code: "unavailable" });
    proxy.restore();
    expect(await again).toBe("answer");
  });

  test("an operation that is aborted does not wait", async () => {
    await using server = await startNatsServer();
    await using link = await NatsLink.open({ servers: [server.url], timeoutMs: 60_000 });
    await server.stop();
    await expect.poll(() => link.isConnected).toBe(false);
    const abort = new AbortController();
    const call = link.call("read", () => Promise.resolve(1), { signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(call).rejects.toThrow("enough");
  });
});

/** A CA with a certificate for localhost, and another CA, as files. */
async function makeCertificates(folder: string) {
  const options = { keyType: "ec", algorithm: "sha256" } as const;
  const authority = () =>
    generate([{ name: "commonName", value: "CA" }], {
      ...options,
      extensions: [
        { name: "basicConstraints", cA: true, critical: true },
        { name: "keyUsage", keyCertSign: true, critical: true },
      ],
    });
  const [ca, otherCa] = [await authority(), await authority()];
  const pair = await generate([{ name: "commonName", value: "platen" }], {
    ...options,
    ca: { cert: ca.cert, key: ca.private },
    extensions: [{ name: "subjectAltName", altNames: [{ type: 2, value: "localhost" }] }],
  });
  const write = async (name: string, pem: string) => {
    await writeFile(join(folder, name), pem);
    return join(folder, name);
  };
  return {
    certFile: await write("cert.pem", pair.cert),
    keyFile: await write("key.pem", pair.private),
    caFile: await write("ca.pem", ca.cert),
    otherCaFile: await write("other-ca.pem", otherCa.cert),
  };
}

/** An operator, an account that may use JetStream, and a user of it (ADR-14 of the NATS architecture). */
function makeCredentials(): { config: string; credentials: string } {
  type KeyPair = ReturnType<typeof nkeys.createUser>;
  const base64 = (data: string | Uint8Array) => Buffer.from(data).toString("base64url");
  const sign = (issuer: KeyPair, subject: KeyPair, claims: { type: string } & Record<string, unknown>) => {
    const header = base64(JSON.stringify({ typ: "JWT", alg: "ed25519-nkey" }));
    const body = base64(
      JSON.stringify({
        jti: claims.type,
        iat: Math.floor(Date.now() / 1000),
        iss: issuer.getPublicKey(),
        sub: subject.getPublicKey(),
        name: claims.type,
        nats: { version: 2, ...claims },
      }),
    );
    return `${header}.${body}.${base64(issuer.sign(Buffer.from(`${header}.${body}`)))}`;
  };
  const operator = nkeys.createOperator();
  const [system, account, user] = [nkeys.createAccount(), nkeys.createAccount(), nkeys.createUser()];
  const limits = {
    subs: -1,
    data: -1,
    payload: -1,
    imports: -1,
    exports: -1,
    conn: -1,
    leaf: -1,
    wildcards: true,
  };
  const jetStream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const accountJwt = (one: KeyPair, claims: object) => sign(operator, one, { type: "account", ...claims });
  const userJwt = sign(account, user, { type: "user", subs: -1, data: -1, payload: -1 });
  return {
    config: `
      operator: ${sign(operator, operator, { type: "operator" })}
      system_account: ${system.getPublicKey()}
      resolver: MEMORY
      resolver_preload: {
        ${system.getPublicKey()}: ${accountJwt(system, { limits })}
        ${account.getPublicKey()}: ${accountJwt(account, { limits: { ...limits, ...jetStream } })}
      }`,
    credentials: [
      "-----BEGIN NATS USER JWT-----",
      userJwt,
      "------END NATS USER JWT------",
      "",
      "-----BEGIN USER NKEY SEED-----",
      new TextDecoder().decode(user.getSeed()),
      "------END USER NKEY SEED------",
      "",
    ].join("\n"),
  };
}
