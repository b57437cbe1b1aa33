import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { JobState, JobStateReason, PlatenError, pollKeyOf, PrinterMode, PrinterState } from "@platen/proto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PrinterSettings } from "../config.ts";
import { makeCertificate, onLocalhost } from "../testing/certificates.ts";
import { instructionFor } from "../testing/result-server.ts";
import { TestSite } from "../testing/site.ts";
import type { TestBackend } from "../testing/test-backend.ts";

let site: TestSite;
let stateDir: string;
let backend: TestBackend;

beforeEach(async () => {
  site = await TestSite.open();
  ({ stateDir, backend } = site);
});
afterEach(() => site[Symbol.asyncDispose]());

const ended = ({ state }: { state: JobState }): boolean => state >= JobState.CANCELED;

/** A printer in polling mode. */
const start = (settings: Partial<PrinterSettings> & { backend: string }) =>
  site.start({ mode: "poll", ...settings });

const keyFile = (): string => join(stateDir, "printer-1.json");
const keptKey = async (): Promise<unknown> => JSON.parse(await readFile(keyFile(), "utf8"));

test("registers with what it can do, and with a key that it keeps where nobody else can read it", async () => {
  const address = await backend.listen();
  const first = await start({ backend: address, enrolmentKey: "enrolment", marginUm: 3000 });
  await first.printer.registered;
  expect(backend.registrations[0]).toMatchObject({
    printerId: "printer-1",
    mode: PrinterMode.POLL,
    address: "",
    enrolmentKey: "enrolment",
    printerKey: expect.stringMatching(/^[\w-]{43}$/),
    capabilities: {
      makeAndModel: "test engine",
      colorSupported: true,
      resolutionsDpi: [300],
      resolutionDefaultDpi: 300,
      mediaDefault: "iso_a4_210x297mm",
      marginLeftUm: 3000,
    },
    status: { state: PrinterState.IDLE },
  });
  const { printerKey } = backend;
  expect(await keptKey()).toEqual({ printerKey });
  expect((await stat(keyFile())).mode & 0o777).toBe(0o600);
  await first.printer[Symbol.asyncDispose]();

  const second = await start({ backend: address });
  await second.printer.registered;
  expect(backend.registrations.at(-1)!.printerKey).toBe(printerKey);
});

test("the key is safe before the backend hears of it, and the same one is shown when the answer is lost", async () => {
  backend.refusal = new PlatenError("unavailable", "the answer is lost");
  const { printer } = await start({ backend: await backend.listen() });
  await backend.until(() => backend.registrations.length > 0);
  const { printerKey } = backend.registrations[0]!;
  expect(await keptKey()).toEqual({ printerKey });
  backend.refusal = undefined;
  await printer.registered;
  expect(new Set(backend.registrations.map((one) => one.printerKey))).toEqual(new Set([printerKey]));
});

test("a backend of an earlier version makes the key: the printer keeps that one", async () => {
  backend.ownKey = "made by the backend";
  const { printer } = await start({ backend: await backend.listen() });
  await printer.registered;
  expect(await keptKey()).toEqual({ printerKey: "made by the backend" });
});

test("an empty key file, as a power cut may have left it, is none", async () => {
  await writeFile(keyFile(), "");
  const { printer } = await start({ backend: await backend.listen() });
  await printer.registered;
  expect(await keptKey()).toEqual({ printerKey: backend.printerKey });
});

test("a second one with the same state folder is refused, and takes its place when the first has ended", async () => {
  const address = await backend.listen();
  const first = await start({ backend: address });
  await expect(start({ backend: address })).rejects.toThrow(/printer-1 runs already, with the state folder/);
  await (await start({ backend: address, printerId: "printer-2" })).printer.registered;
  await first.printer[Symbol.asyncDispose]();
  await (await start({ backend: address })).printer.registered;
});

test("[0112]: takes what is ready, prints it in order, and reports each to its end", async () => {
  const results = await site.serveResults();
  const { model, printer } = await start({ backend: await backend.listen() });
  for (const jobId of ["job-1", "job-2"]) backend.offer(instructionFor(results, jobId));
  for (const jobId of ["job-1", "job-2"]) {
    const end = await backend.reported(jobId, ended);
    expect(end).toMatchObject({ state: JobState.COMPLETED, mediaSheetsCompleted: 2 });
    const sequences = backend.reports
      .filter((one) => one.session?.jobId === jobId)
      .map(({ sequence }) => sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => Number(a - b)));
  }
  expect(model.sheets.map(({ jobId }) => jobId)).toEqual(["job-1", "job-1", "job-2", "job-2"]);
  expect(backend.fetches.map(({ jobId }) => jobId)).toEqual(["job-1", "job-2"]);
  await expect.poll(() => printer.printer.endsAreTold).toBe(true);
});

test("names the jobs it holds in its polls, and says what it does", async () => {
  const results = await site.serveResults({ intercept: () => new Promise(() => {}) });
  await start({ backend: await backend.listen() });
  backend.offer(instructionFor(results));
  await backend.until(() => backend.polls.some(({ request }) => request.heldJobIds.includes("job-1")));
  const { request } = backend.polls.at(-1)!;
  expect(request.status).toMatchObject({
    state: PrinterState.PROCESSING,
    currentJobId: "job-1",
    heldJobs: 1,
  });
});

test("while the printer pauses it fetches nothing, and all of it afterwards", async () => {
  const results = await site.serveResults();
  const { printer } = await start({ backend: await backend.listen() });
  const pause = printer.printer.pause();
  await printer.registered;
  const before = backend.polls.length;
  backend.offer(instructionFor(results));
  await backend.until(() => backend.polls.length > before + 2);
  expect(backend.fetches).toEqual([]);
  pause[Symbol.dispose]();
  expect(await backend.reported("job-1", ended)).toMatchObject({ state: JobState.COMPLETED });
});

describe("a user's cancel", () => {
  const waiting = async () => {
    const results = await site.serveResults({ intercept: () => new Promise(() => {}) });
    const started = await start({ backend: await backend.listen() });
    backend.offer(instructionFor(results));
    await backend.until(() => backend.polls.some(({ request }) => request.heldJobIds.includes("job-1")));
    return started;
  };

  test("is hinted at by a poll, and asked about before it is done", async () => {
    await waiting();
    backend.cancels.add("job-1");
    backend.cancelHints.add("job-1");
    backend.nudge();
    expect(await backend.reported("job-1", ended)).toMatchObject({
      state: JobState.CANCELED,
      stateReasons: [JobStateReason.JOB_CANCELED_BY_USER],
    });
  });

  test("is not done on the word of a poll alone", async () => {
    const { printer } = await waiting();
    const before = backend.reports.length;
    backend.cancelHints.add("job-1");
    backend.nudge();
    await backend.until(() => backend.reports.length > before + 1);
    expect(printer.printer.print("job-1")!.state).toBe(JobState.PROCESSING);
  });

  test("comes with the answer to a report", async () => {
    const results = await site.serveResults({ ticket: { copies: 900 } });
    backend.cancels.add("job-1");
    await start({ backend: await backend.listen() });
    backend.offer(instructionFor(results));
    const end = await backend.reported("job-1", ended);
    expect(end.stateReasons).toEqual([JobStateReason.JOB_CANCELED_BY_USER]);
  });
});

describe("a backend that goes away", () => {
  test("while a job prints: the job goes on, and its end is reported when the backend is back", async () => {
    const opened = Promise.withResolvers<void>();
    const results = await site.serveResults({
      intercept: async ({ url }) => {
        if (url === "/pages/2") await opened.promise;
        return false;
      },
    });
    const address = await backend.listen();
    const { printer, model, events } = await start({ backend: address });
    backend.offer(instructionFor(results));
    await backend.reported("job-1", ({ mediaSheetsCompleted }) => mediaSheetsCompleted === 1);
    await backend.stop();
    opened.resolve();
    for await (const status of printer.printer.watch("job-1", new AbortController().signal)) {
      if (ended(status)) expect(status.state).toBe(JobState.COMPLETED);
    }
    expect(model.counts.stacked).toBe(2);
    await backend.listen(address);
    expect(await backend.reported("job-1", ended)).toMatchObject({
      state: JobState.COMPLETED,
      mediaSheetsCompleted: 2,
    });
    expect(events.map(({ kind }) => kind)).toContain("backend-unreachable");
  });

  test("before the printer starts: it registers when the backend is there", async () => {
    const address = await backend.listen();
    await backend.stop();
    const { printer } = await start({ backend: address });
    await backend.listen(address);
    await printer.registered;
  });

  test("and comes back without its memory: the printer registers again, and prints", async () => {
    const results = await site.serveResults();
    const { printer } = await start({ backend: await backend.listen() });
    await printer.registered;
    backend.printerKey = "another";
    backend.offer(instructionFor(results));
    expect((await backend.reported("job-1", ended)).state).toBe(JobState.COMPLETED);
    expect(backend.registrations.length).toBeGreaterThan(1);
  });
});

test("a backend that refuses the printer ends it, with its reason", async () => {
  backend.refusal = new PlatenError("printer-taken", "a printer of this name is registered already");
  const { printer } = await start({ backend: await backend.listen() });
  await expect(printer.failed).rejects.toMatchObject({ code: "printer-taken" });
  await expect(printer.registered).rejects.toMatchObject({ code: "printer-taken" });
});

test("a key file that cannot be read ends it too", async () => {
  await writeFile(keyFile(), "{");
  const { printer } = await start({ backend: await backend.listen() });
  await expect(printer.failed).rejects.toMatchObject({
    code: "configuration",
    message: expect.stringContaining("platen printers remove printer-1"),
  });
});

test("an instruction that makes no sense is reported as aborted, and the next one prints", async () => {
  const results = await site.serveResults();
  const { events } = await start({ backend: await backend.listen() });
  backend.offer(instructionFor(results, "job-1", { token: "" }));
  expect(await backend.reported("job-1", ended)).toMatchObject({
    state: JobState.ABORTED,
    errorCode: "invalid-argument",
  });
  backend.offer(instructionFor(results, "job-2"));
  expect((await backend.reported("job-2", ended)).state).toBe(JobState.COMPLETED);
  expect(events.map(({ kind }) => kind)).toContain("refused");
});

test("switched off in the middle of a job it says so, and goes on with the next sheet when it is back", async () => {
  const held = { on: true };
  const results = await site.serveResults({
    intercept: ({ url }) => (url === "/pages/2" && held.on ? new Promise(() => {}) : false),
  });
  const address = await backend.listen();
  const first = await start({ backend: address });
  backend.offer(instructionFor(results));
  await backend.reported("job-1", ({ mediaSheetsCompleted }) => mediaSheetsCompleted === 1);
  await first.printer[Symbol.asyncDispose]();
  expect(backend.reports.at(-1)).toMatchObject({
    state: JobState.PROCESSING_STOPPED,
    stateReasons: [JobStateReason.PRINTER_STOPPED],
    mediaSheetsCompleted: 1,
  });
  held.on = false;
  backend.offer(instructionFor(results, "job-1", { mediaSheetsCompleted: 1 }));
  const second = await start({ backend: address });
  expect(await backend.reported("job-1", ended)).toMatchObject({
    state: JobState.COMPLETED,
    mediaSheetsCompleted: 2,
  });
  expect(second.model.sheets.map(({ sheetNumber }) => sheetNumber)).toEqual([2]);
});

describe("[0112] with two targets", () => {
  test("polls without TLS and without the key; registers, fetches and reports over TLS", async () => {
    const tls = await makeCertificate();
    const tlsCa = join(stateDir, "ca.pem");
    await writeFile(tlsCa, tls.cert);
    const results = await site.serveResults({ tls });
    const secure = onLocalhost(await backend.listen("127.0.0.1:0", tls));
    const plain = await backend.listen();
    await start({ backend: secure, pollBackend: plain, tlsCa });
    backend.offer(instructionFor(results));
    expect((await backend.reported("job-1", ended)).state).toBe(JobState.COMPLETED);
    expect(backend.fetches).toEqual([{ jobId: "job-1", secure: true }]);
    expect(new Set(backend.polls.map((poll) => poll.secure))).toEqual(new Set([false]));
    expect(new Set(backend.polls.map((poll) => poll.authorization))).toEqual(
      new Set([`Bearer ${pollKeyOf(backend.printerKey)}`]),
    );
  });

  test("with one target, polls go where all else goes", async () => {
    const tls = await makeCertificate();
    const tlsCa = join(stateDir, "ca.pem");
    await writeFile(tlsCa, tls.cert);
    await start({ backend: onLocalhost(await backend.listen("127.0.0.1:0", tls)), tlsCa });
    await backend.until(() => backend.polls.length > 0);
    expect(backend.polls[0]).toMatchObject({ secure: true, authorization: `Bearer ${backend.printerKey}` });
  });

  test("a backend on another machine is not called without TLS", async () => {
    await expect(start({ backend: "192.0.2.1:6310" })).rejects.toMatchObject({ code: "plaintext-refused" });
  });
});
