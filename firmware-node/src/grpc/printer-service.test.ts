import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  clientCredentials,
  connect,
  JobState,
  JobStateReason,
  PrinterMode,
  PrinterService,
  PrinterState,
  type PrintStatus,
  type ServiceClient,
  type TlsMaterial,
} from "@platen/proto";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { PrinterSettings } from "../config.ts";
import type { RunningPrinter } from "../start.ts";
import { makeCertificate, onLocalhost } from "../testing/certificates.ts";
import { makePage } from "../testing/pages.ts";
import { instructionFor, type ResultServerOptions } from "../testing/result-server.ts";
import { TestSite } from "../testing/site.ts";
import type { TestBackend } from "../testing/test-backend.ts";

let site: TestSite;
let stateDir: string;
let backend: TestBackend;
let backendAddress: string;

beforeEach(async () => {
  site = await TestSite.open();
  ({ stateDir, backend } = site);
  backendAddress = await backend.listen();
});
afterEach(() => site[Symbol.asyncDispose]());

const session = { jobId: "job-1", printerId: "printer-1" };

/** A printer in push mode. */
async function start(settings: Partial<PrinterSettings> = {}): Promise<RunningPrinter> {
  const capabilities = { resolutionsDpi: [300, 600], duplex: false };
  const all = { backend: backendAddress, mode: "push" as const, ...settings };
  const { printer } = await site.start(all, capabilities);
  return printer;
}

const serveResults = async (options: Partial<ResultServerOptions> = {}) =>
  site.serveResults({ pages: [await makePage(1)], ...options });

/** A client of the printer's own server: a job controller, for the printer. */
function clientOf(address: string, tls: TlsMaterial = {}): ServiceClient<typeof PrinterService> {
  const credentials = clientCredentials(tls, tls.ca !== undefined);
  return site.use(connect(address, credentials)).client(PrinterService);
}

async function endOf(client: ServiceClient<typeof PrinterService>): Promise<PrintStatus> {
  let last: PrintStatus | undefined;
  for await (const { status } of client.watchPrint({ session })) last = status;
  return last!;
}

test("registers with the address of its server, now and again", async () => {
  const printer = await start({ registerIntervalS: 0.02 });
  await backend.until(() => backend.registrations.length >= 3);
  for (const registration of backend.registrations) {
    expect(registration).toMatchObject({ mode: PrinterMode.PUSH, address: printer.address });
  }
});

test("S109, S110: prints what it is asked to, tells of it to its end, and answers a repeat with its status", async () => {
  const results = await serveResults();
  const printer = await start();
  const client = clientOf(printer.address!);
  const { status } = await client.print({ instruction: instructionFor(results) });
  expect(status).toMatchObject({ session, state: JobState.PROCESSING });
  const end = await endOf(client);
  expect(end).toMatchObject({ state: JobState.COMPLETED, mediaSheetsCompleted: 1 });
  expect((await client.print({ instruction: instructionFor(results) })).status).toEqual(end);
  expect(await endOf(client)).toEqual(end);
});

test("an end is told when a controller has it, which watches no longer then", async () => {
  const results = await serveResults();
  const { address, printer } = await start();
  const client = clientOf(address!);
  await client.print({ instruction: instructionFor(results) });
  for await (const { status } of client.watchPrint({ session }))
    if (status?.state === JobState.COMPLETED) break;
  expect(printer.endsAreTold).toBe(true);
});

test("S1411: a cancel ends the print; one for what is not known says nothing", async () => {
  const asked = Promise.withResolvers<void>();
  const results = await serveResults({
    intercept: () => {
      asked.resolve();
      return new Promise(() => {});
    },
  });
  const client = clientOf((await start()).address!);
  expect((await client.cancelPrint({ session })).status).toBeUndefined();
  await client.print({ instruction: instructionFor(results) });
  await asked.promise;
  const end = endOf(client);
  expect((await client.cancelPrint({ session })).status).toBeDefined();
  expect(await end).toMatchObject({
    state: JobState.CANCELED,
    stateReasons: [JobStateReason.JOB_CANCELED_BY_USER],
  });
  expect((await client.cancelPrint({ session })).status).toMatchObject({ state: JobState.CANCELED });
});

test("refuses what is for another printer, has no instruction, or is not known", async () => {
  const results = await serveResults();
  const client = clientOf((await start()).address!);
  await expect(client.print({})).rejects.toMatchObject({ code: "invalid-argument" });
  const other = { jobId: "job-1", printerId: "printer-2" };
  await expect(
    client.print({ instruction: instructionFor(results, "job-1", { session: other }) }),
  ).rejects.toMatchObject({
    code: "invalid-argument",
  });
  await expect(client.cancelPrint({ session: other })).rejects.toMatchObject({ code: "invalid-argument" });
  await expect(endOf(client)).rejects.toMatchObject({ code: "job-unknown" });
});

test("says what it is, can do and does", async () => {
  const client = clientOf((await start({ resolution: 600 })).address!);
  const answer = await client.getPrinterStatus({});
  expect(answer).toMatchObject({
    printerId: "printer-1",
    capabilities: { resolutionDefaultDpi: 600, resolutionsDpi: [300, 600], sidesSupported: [1] },
    status: { state: PrinterState.IDLE, heldJobs: 0 },
  });
  expect(answer.status?.time).toBeDefined();
});

test("switched off, it lets watchers hear that the print will go on, and then that it is away", async () => {
  const results = await serveResults({ intercept: () => new Promise(() => {}) });
  const printer = await start();
  const client = clientOf(printer.address!);
  await client.print({ instruction: instructionFor(results) });
  const statuses: PrintStatus[] = [];
  const heard = Promise.withResolvers<void>();
  const watched = (async () => {
    for await (const { status } of client.watchPrint({ session })) {
      statuses.push(status!);
      heard.resolve();
    }
  })();
  const broken = expect(watched).rejects.toMatchObject({ code: "unavailable" });
  await heard.promise;
  await printer[Symbol.asyncDispose]();
  await broken;
  expect(statuses.at(-1)).toMatchObject({
    state: JobState.PROCESSING_STOPPED,
    message: expect.stringMatching(/goes on/),
  });
});

test("with a certificate it serves TLS, and with an authority it lets in only who has a certificate of it", async () => {
  const tls = await makeCertificate();
  const [tlsCert, tlsKey, tlsCa] = ["cert", "key", "ca"].map((name) => join(stateDir, name)) as [
    string,
    string,
    string,
  ];
  await Promise.all([writeFile(tlsCert, tls.cert), writeFile(tlsKey, tls.key), writeFile(tlsCa, tls.cert)]);
  const secureBackend = onLocalhost(await backend.listen("127.0.0.1:0", tls));
  const printer = await start({ backend: secureBackend, tlsCert, tlsKey, tlsCa });
  await printer.registered;
  const trusted = clientOf(onLocalhost(printer.address!), { ...tls, ca: tls.cert });
  expect((await trusted.getPrinterStatus({})).printerId).toBe("printer-1");
  const stranger = clientOf(onLocalhost(printer.address!), { ca: tls.cert });
  await expect(stranger.getPrinterStatus({}, { timeoutMs: 5000 })).rejects.toMatchObject({
    code: "unavailable",
  });
});

test.each([
  [{ listen: "0.0.0.0:0" }, "plaintext-refused"],
  [{ listen: "0.0.0.0:0", allowPlaintext: true }, "configuration"],
  [{ pollBackend: "127.0.0.1:1" }, "configuration"],
  [{ tlsCert: "/nowhere/cert.pem" }, "configuration"],
] as const)("does not start with %j: %s", async (settings, code) => {
  await expect(start(settings)).rejects.toMatchObject({ code });
});

test("does not start where another one listens", async () => {
  await expect(start({ listen: backendAddress })).rejects.toMatchObject({ code: "configuration" });
});
