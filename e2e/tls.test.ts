/** TLS on every listener and every client, with certificates on both sides; and where plaintext is refused. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ChannelOptions } from "@grpc/grpc-js";
import { connectBalanced } from "@platen/balancer";
import { type PrinterSettings, startPrinter } from "@platen/firmware-node";
import {
  clientCredentials,
  connect,
  ConversionService,
  IntakeService,
  JobState,
  loadTls,
  pollKeyOf,
  type PrintInstruction,
  PrinterQueueService,
  PrinterService,
  serve,
  serverCredentials,
  type TlsMaterial,
} from "@platen/proto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { PrintQueue } from "../backend/src/app/print-queue.ts";
import { Printers } from "../backend/src/app/printers.ts";
import { Registry } from "../backend/src/app/registry.ts";
import { startBackend } from "../backend/src/compose.ts";
import { type BackendConfig, parseBackendConfig } from "../backend/src/config.ts";
import { newJobId, parsePrinterId } from "../backend/src/domain/ids.ts";
import { printerQueueService } from "../backend/src/grpc/printer-queue.ts";
import { type CertificateFiles, makeAuthority, selfSigned } from "./support/certificates.ts";
import { ended, submit } from "./support/jobs.ts";
import { stamps } from "./support/pdf.ts";
import { testPrinter } from "./support/printer.ts";
import { recordingProxy } from "./support/recording-proxy.ts";
import { embeddedSystem, type TestSystem } from "./support/system.ts";

const main = fileURLToPath(new URL("../backend/src/main.ts", import.meta.url));

/** An address of this machine on a network, if it has one. */
const outward = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === "IPv4" && !address.internal)?.address;
if (!outward) console.warn("some tests of tls.test.ts are skipped: this machine is on no network");

let dir: string;
let ca: string;
let backend: CertificateFiles;
let office: CertificateFiles;
let user: CertificateFiles;
/** Of an authority that nobody knows. */
let stranger: CertificateFiles;
let system: TestSystem;

/** Options of a printer that is one of us. */
const trusted = (): Partial<PrinterSettings> => ({
  listen: "localhost:0",
  tlsCa: ca,
  tlsCert: office.cert,
  tlsKey: office.key,
});

const material = (files: Partial<CertificateFiles>, caFile: string | undefined = ca): Promise<TlsMaterial> =>
  loadTls({ caFile, certFile: files.cert, keyFile: files.key });

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "platen-tls-"));
  const [ours, theirs] = [await makeAuthority(dir, "ours"), await makeAuthority(dir, "theirs")];
  ca = ours.ca;
  [backend, office, user, stranger] = await Promise.all([
    ours.issue("backend"),
    ours.issue("office"),
    ours.issue("user"),
    theirs.issue("stranger"),
  ]);
  // By name, since the certificate is for a name.
  system = await embeddedSystem({
    listen: "localhost:0",
    executorListen: "localhost:0",
    httpListen: "localhost:0",
    pollListen: "127.0.0.1:0",
    tlsCertFile: backend.cert,
    tlsKeyFile: backend.key,
    tlsCaFile: ca,
  });
});
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

describe("certificates on both sides", () => {
  it.each(["push", "poll"] as const)("a printer in %s mode prints a job", async (mode) => {
    await using printer = await testPrinter(system, { printerId: `tls-${mode}`, mode, settings: trusted() });
    const { job } = await ended(system, await submit(system, printer.printerId, stamps(2)));
    expect(job).toMatchObject({ state: JobState.COMPLETED, mediaSheetsCompleted: 2 });
    expect(system.resultUrl).toMatch(/^https:/);
  });

  describe("platen submit", () => {
    const platen = (...args: string[]) =>
      new Promise<{ code: unknown; stderr: string }>((resolve) => {
        execFile(process.execPath, [main, ...args], { cwd: dir }, (error, _stdout, stderr) =>
          resolve({ code: error ? error.code : 0, stderr }),
        );
      });
    const submitWith = async (...flags: string[]) => {
      await writeFile(join(dir, "a.pdf"), stamps(1));
      const job = ["a.pdf", "--printer", "tls-cli", "--media", "custom_stamp_26x26mm"];
      return platen("submit", ...job, "--watch", "--quiet", "--server", system.intakeAddress, ...flags);
    };
    const own = () => ["--tls-cert", user.cert, "--tls-key", user.key];

    it("prints, with the authority and a certificate of its own", async () => {
      await using _ = await testPrinter(system, {
        printerId: "tls-cli",
        mode: "poll",
        settings: trusted(),
      });
      expect(await submitWith("--tls-ca", ca, ...own())).toEqual({ code: 0, stderr: "" });
    });

    it.each<[string, () => string[], RegExp]>([
      ["without the authority", () => ["--tls", ...own()], /certificate/],
      ["without a certificate of its own", () => ["--tls-ca", ca], /cannot reach the server/],
      [
        "with a stranger's certificate",
        () => ["--tls-ca", ca, "--tls-cert", stranger.cert, "--tls-key", stranger.key],
        /cannot reach the server/,
      ],
      ["without TLS", () => [], /does it want TLS\?/],
    ])("%s it cannot reach the server, and says so", async (_, flags, why) => {
      expect(await submitWith(...flags())).toEqual({ code: 4, stderr: expect.stringMatching(why) });
    });
  });

  it.each<[string, () => Partial<PrinterSettings>]>([
    ["does not know the authority", () => ({ ...trusted(), tlsCa: undefined, tls: true })],
    ["has no certificate", () => ({ tlsCa: ca })],
    ["has a stranger's certificate", () => ({ tlsCa: ca, tlsCert: stranger.cert, tlsKey: stranger.key })],
    ["speaks no TLS", () => ({})],
  ])("a printer that %s does not get in", async (_, settings) => {
    const unreachable = Promise.withResolvers<string>();
    await using printer = await startPrinter(
      {
        printerId: "outsider",
        backend: system.controllerAddress,
        sink: "sim:",
        stateDir: dir,
        ...settings(),
      } as PrinterSettings,
      {
        onEvent: (event) => {
          if (event.kind === "backend-unreachable") unreachable.resolve(event.message);
        },
      },
    );
    printer.registered.catch(unreachable.reject);
    await unreachable.promise;
    const { printers } = await system.intake.listPrinters({});
    expect(printers.map(({ printerId }) => printerId)).not.toContain("outsider");
  });

  it("a printer's own server in push mode lets nobody in who has no certificate", async () => {
    await using printer = await testPrinter(system, {
      printerId: "tls-door",
      mode: "push",
      settings: trusted(),
    });
    const call = async (tls: TlsMaterial, secure: boolean) => {
      using connection = connect(printer.running.address!, clientCredentials(tls, secure));
      await connection.client(PrinterService).getPrinterStatus({}, { timeoutMs: 10_000 });
    };
    await call(await material(backend), true);
    await expect(call(await material({}), true)).rejects.toMatchObject({ code: "unavailable" });
    await expect(call(await material(stranger), true)).rejects.toMatchObject({ code: "unavailable" });
    await expect(call({}, false)).rejects.toMatchObject({ code: "unavailable" });
  });

  it("the result store answers nobody who has no certificate", async () => {
    const url = `${system.resultUrl}/v1/results/none/metafile`;
    const get = (options: RequestOptions, request = httpsRequest, at = url) =>
      new Promise<number | undefined>((resolve, reject) => {
        request(at, { ...options, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on("error", reject)
          .end();
      });
    expect(await get({ ...(await material(user)) })).toBe(404);
    await expect(get({ ...(await material({})) })).rejects.toThrow();
    await expect(get({ ...(await material(stranger)) })).rejects.toThrow();
    await expect(get({}, httpRequest as typeof httpsRequest, url.replace("https", "http"))).rejects.toThrow();
  });
});

describe("without an authority given", () => {
  const listeners = { listen: "localhost:0", executorListen: "localhost:0", httpListen: "localhost:0" };
  const start = async (settings: Partial<BackendConfig>, files: CertificateFiles = backend) => {
    const folders = { dataDir: join(dir, "alone", "data"), tempDir: join(dir, "alone", "temp") };
    const certificate = { tlsCertFile: files.cert, tlsKeyFile: files.key };
    await using _ = await startBackend(
      parseBackendConfig({ ...listeners, ...folders, renderWorkers: 1, ...certificate, ...settings }),
    );
  };

  it("S101 to S112: roles trust a certificate of their own that signed itself", async () => {
    const own = await selfSigned(dir, "alone");
    const tls = { tlsCertFile: own.cert, tlsKeyFile: own.key };
    await using alone = await embeddedSystem({ ...listeners, ...tls });
    const settings = { tlsCa: own.cert };
    await using printer = await testPrinter(alone, { printerId: "alone", mode: "poll", settings });
    const { job } = await ended(alone, await submit(alone, printer.printerId, stamps(1)));
    expect(job).toMatchObject({ state: JobState.COMPLETED, mediaSheetsCompleted: 1 });
  });

  it("roles that cannot trust each other's certificate do not start, and say what is missing", async () => {
    await expect(start({})).rejects.toMatchObject({
      code: "configuration",
      message: expect.stringMatching(/backend\.pem \(.*certificate.*\): give the authority .* --tls-ca$/),
    });
  });

  it("nor do those that are given another one", async () => {
    await expect(start({ tlsCaFile: ca }, stranger)).rejects.toMatchObject({
      code: "configuration",
      message: expect.stringContaining(`${ca} is not it`),
    });
  });

  it.each([
    ["--executor-advertise-host", { executorListen: "127.0.0.1:0" }],
    ["--executor-advertise-host", { executorAdvertiseHost: "elsewhere" }],
    ["--advertise", { advertise: "elsewhere:6310" }],
  ])(
    "nor do those that call each other by a name that the certificate lacks, %s %o",
    async (cure, settings) => {
      const message = expect.stringMatching(`DNS:localhost: give a name that it bears with ${cure}`);
      await expect(start({ tlsCaFile: ca, ...settings })).rejects.toMatchObject({
        code: "configuration",
        message,
      });
    },
  );

  it("a role that calls none of its own kind starts with what others trust", async () => {
    await start({ roles: ["executor"], executorListen: "127.0.0.1:0" });
    await start({ roles: ["intake"] });
  });
});

describe("executors behind the balancer", () => {
  /** Asks through the balancer for something that no executor has. */
  async function ask(
    address: string,
    files: Partial<CertificateFiles> = backend,
    channelOptions: ChannelOptions = {},
  ): Promise<void> {
    // oxlint-disable-next-line require-await -- a directory that never changes
    const watch = async function* () {
      yield [{ id: "executor", address }];
    };
    using executors = connectBalanced("executors", {
      directory: { watch },
      policy: "round_robin",
      credentials: clientCredentials(await material(files), true),
      channelOptions,
    });
    const session = { jobId: newJobId(Date.now()), printerId: "nowhere" };
    await executors.client(ConversionService).complete({ requestId: "ask", session }, { timeoutMs: 10_000 });
  }

  let address: string;
  beforeAll(async () => {
    const registry = await Registry.open(system.storage.keyValue, 3000);
    for await (const [first] of registry.watch("executors", AbortSignal.timeout(10_000))) {
      if (!first) continue;
      ({ address } = first);
      return;
    }
  });

  it("are called under the name that the registry lists, which their certificate must bear", async () => {
    expect(address).toMatch(/^localhost:/);
    const answer = { code: "session-missing" };
    await expect(ask(address)).rejects.toMatchObject(answer);
    const byNumber = address.replace("localhost", "127.0.0.1");
    await expect(ask(byNumber)).rejects.toMatchObject({ code: "unavailable" });
    // It is there, and only its name is wrong.
    const called = { "grpc.ssl_target_name_override": "localhost" };
    await expect(ask(byNumber, backend, called)).rejects.toMatchObject(answer);
  });

  it("answer nobody who has no certificate", async () => {
    for (const files of [{}, stranger])
      await expect(ask(address, files)).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe("[0112]: polls without TLS, all else over TLS", () => {
  it("what travels without TLS gives nothing away: no token, no URL, no key", async () => {
    await using proxy = await recordingProxy(system.pollAddress);
    const stateDir = join(dir, "split");
    await using printer = await testPrinter(system, {
      printerId: "tls-split",
      mode: "poll",
      settings: { ...trusted(), pollBackend: proxy.address, stateDir },
    });
    const handed = vi.spyOn(printer.running.printer, "submit");
    const { job } = await ended(system, await submit(system, printer.printerId, stamps(2)));
    expect(job).toMatchObject({ state: JobState.COMPLETED, mediaSheetsCompleted: 2 });

    const instruction = handed.mock.calls[0]![0] as PrintInstruction;
    const { printerKey } = JSON.parse(await readFile(join(stateDir, "tls-split.json"), "utf8")) as {
      printerKey: string;
    };
    const heard = proxy.heard();
    // It has listened: this much is said in the open.
    expect(heard.includes(job.jobId)).toBe(true);
    expect(heard.includes(`Bearer ${pollKeyOf(printerKey)}`)).toBe(true);
    const secrets = [
      printerKey,
      instruction.token,
      instruction.identificationId,
      instruction.metafileUrl,
      system.resultUrl,
      job.documentUri,
    ];
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(8);
      expect(heard.includes(secret)).toBe(false);
    }
    expect([...proxy.paths]).toEqual(["/platen.v1.PrinterQueueService/PollPrinterQueue"]);
  });

  it("whoever heard a poll key can poll with it, and nothing else", async () => {
    const stateDir = join(dir, "overheard");
    await using printer = await testPrinter(system, {
      printerId: "tls-overheard",
      mode: "poll",
      settings: { ...trusted(), stateDir, pollBackend: system.pollAddress },
    });
    const { printerId } = printer;
    const text = await readFile(join(stateDir, `${printerId}.json`), "utf8");
    const { printerKey } = JSON.parse(text) as { printerKey: string };
    const session = { jobId: newJobId(Date.now()), printerId };
    const call = (key: string) => ({ timeoutMs: 10_000, headers: { authorization: `Bearer ${key}` } });

    using open = connect(system.pollAddress, clientCredentials({}, false));
    const inTheOpen = open.client(PrinterQueueService);
    await inTheOpen.pollPrinterQueue({ printerId }, call(pollKeyOf(printerKey)));
    // Not even with the printer's own key: it must never be sent there.
    const elsewhere = { code: "plaintext-refused" };
    await expect(inTheOpen.fetchPrintInstruction({ session }, call(printerKey))).rejects.toMatchObject(
      elsewhere,
    );
    await expect(inTheOpen.reportPrint({ status: { session } }, call(printerKey))).rejects.toMatchObject(
      elsewhere,
    );
    await expect(inTheOpen.registerPrinter({ printerId }, call(printerKey))).rejects.toMatchObject(elsewhere);
    await expect(open.client(IntakeService).listPrinters({}, { timeoutMs: 10_000 })).rejects.toMatchObject({
      code: "unimplemented",
    });

    using secure = connect(system.controllerAddress, clientCredentials(await material(office), true));
    const overTls = secure.client(PrinterQueueService);
    for (const [key, code] of [
      [pollKeyOf(printerKey), "unauthenticated"],
      [printerKey, "job-unknown"],
    ] as const)
      await expect(overTls.fetchPrintInstruction({ session }, call(key))).rejects.toMatchObject({ code });
  });
});

describe("without TLS", () => {
  const settings = (name: string) => ({
    dataDir: join(dir, name, "data"),
    tempDir: join(dir, name, "temp"),
    listen: "127.0.0.1:0",
    httpListen: "127.0.0.1:0",
    executorListen: "127.0.0.1:0",
    renderWorkers: 1,
  });

  it.each(["listen", "httpListen", "executorListen"])(
    "a backend whose %s is beyond the loopback does not start",
    async (listener) => {
      const config = parseBackendConfig({ ...settings("refused"), [listener]: "0.0.0.0:0" });
      await expect(startBackend(config)).rejects.toMatchObject({ code: "plaintext-refused" });
      await using _ = await startBackend({ ...config, allowPlaintext: true });
    },
  );

  it.skipIf(!outward)("S109: instructions are handed out on this machine only", async () => {
    const { keyValue } = system.storage;
    const deps = {
      printers: await Printers.open(keyValue, undefined, Date.now),
      queue: await PrintQueue.open(keyValue),
      executors: system.executors("round_robin").client(ConversionService),
      now: Date.now,
    };
    const session = { jobId: newJobId(Date.now()), printerId: parsePrinterId("nobody") };
    const fetch = async (host: string, allowPlaintext: boolean) => {
      await using server = await serve([printerQueueService({ ...deps, allowPlaintext })], {
        address: "0.0.0.0:0",
        credentials: serverCredentials({}),
      });
      const port = server.address.slice(server.address.lastIndexOf(":") + 1);
      using connection = connect(`${host}:${port}`, clientCredentials({}, false));
      await connection.client(PrinterQueueService).fetchPrintInstruction({ session }, { timeoutMs: 10_000 });
    };
    await expect(fetch(outward!, false)).rejects.toMatchObject({ code: "plaintext-refused" });
    // The next check is who asks.
    await expect(fetch("127.0.0.1", false)).rejects.toMatchObject({ code: "printer-unknown" });
    await expect(fetch(outward!, true)).rejects.toMatchObject({ code: "printer-unknown" });
  });
});
