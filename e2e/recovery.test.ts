/** Processes that are killed, stopped and started again in the middle of jobs: each job ends once, no sheet comes twice. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Job, JobEventKind, JobState } from "@platen/proto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  metafileBlobKey,
  openSessionStores,
  pageBlobKey,
  pageKey,
  sourceKey,
} from "../backend/src/app/session-stores.ts";
import type { Role } from "../backend/src/config.ts";
import { dbIndexOf, newIdentificationId, newJobId, parsePrinterId } from "../backend/src/domain/ids.ts";
import { type FrontDoor, frontDoor } from "./support/front-door.ts";
import { ended, submit } from "./support/jobs.ts";
import { heavy, pdf, stamps } from "./support/pdf.ts";
import { type TestPrinter, testPrinter } from "./support/printer.ts";
import {
  type BackendProcess,
  distributedSystem,
  embeddedSystem,
  servedSystem,
  type TestSystem,
} from "./support/system.ts";

const { COMPLETED, PROCESSING_STOPPED } = JobState;

const main = fileURLToPath(new URL("../backend/src/main.ts", import.meta.url));

/** A printer stops after so many sheets until somebody fills its tray: so a job cannot be over before its test has struck. */
const paperSheets = 2;
const pages = 6;

/** Fills the tray again and again until the job has ended. */
async function keepFilled<T>(printer: TestPrinter, job: Promise<T>): Promise<T> {
  const filling = setInterval(() => printer.engine.remedy(), 50);
  return job.finally(() => clearInterval(filling));
}

/** The whole of a job that is struck at some event: `strike` runs there, once, while the printer waits for paper. */
async function struck(
  system: TestSystem,
  printer: TestPrinter,
  at: JobEventKind,
  strike: (job: Job) => Promise<void>,
  document = stamps(pages),
) {
  const submitted = await submit(system, printer.printerId, document);
  const there = Promise.withResolvers<void>();
  const whole = ended(system, submitted, ({ kind }) => {
    if (kind === at) there.resolve();
  });
  whole.catch(there.reject);
  await there.promise;
  await strike(submitted);
  return keepFilled(printer, whole);
}

/** Each sheet is there once, and the history tells of one end. */
function expectOnce(printer: TestPrinter, { job, events }: Awaited<ReturnType<typeof ended>>): void {
  expect(job).toMatchObject({ state: COMPLETED, mediaSheetsCompleted: pages });
  expect(printer.sheetsOf(job.jobId).map((sheet) => sheet.sheetNumber)).toEqual(
    Array.from({ length: pages }, (_, n) => n + 1),
  );
  expect(events.filter(({ kind }) => kind === JobEventKind.ENDED)).toHaveLength(1);
  expect(events.map((event) => Number(event.sequence))).toEqual(events.map((_, index) => index + 1));
}

describe("one process of each role, over NATS", () => {
  let system: TestSystem;
  const stack = new AsyncDisposableStack();
  /** Where printers find the controller, whichever lives. */
  let door: FrontDoor;
  /** Where printers find the result store, whichever lives. */
  let results: FrontDoor;
  let resultStore: BackendProcess;
  beforeAll(async () => {
    results = stack.use(await frontDoor());
    system = stack.use(await distributedSystem({ resultUrl: `http://${results.address}` }, 1));
    resultStore = processOf("result-store");
    results.add(resultStore.ready.httpAddress);
    door = stack.use(await frontDoor(system.controllerAddress));
  });
  afterAll(() => stack.disposeAsync());

  const printerNamed = (printerId: string, mode: "push" | "poll"): Promise<TestPrinter> => {
    const settings = { backend: door.address };
    return testPrinter(system, { printerId, mode, engine: { paperSheets }, settings });
  };

  const processOf = (role: Role): BackendProcess => system.processes.find((one) => one.role === role)!;
  const add = async (role: Role): Promise<BackendProcess> => stack.use(await system.addProcess(role));

  describe("a job controller that is killed", () => {
    let controller: BackendProcess;
    beforeAll(() => {
      controller = processOf("controller");
    });

    it.each([
      ["STARTED", "poll"],
      ["DOWNLOADED", "push"],
      ["OPENED", "poll"],
      ["PRINT_REQUESTED", "push"],
      ["PRINTED", "poll"],
      ["PRINTED", "push"],
    ] as const)(
      "at %s, the printer in %s mode, has its job finished by another one",
      { timeout: 60_000 },
      async (moment, mode) => {
        await using printer = await printerNamed(`controller-${moment}-${mode}`, mode);
        const whole = await struck(system, printer, JobEventKind[moment], async () => {
          await controller.kill();
          controller = await add("controller");
          door.add(controller.ready.grpcAddress);
        });
        expectOnce(printer, whole);
        expect(whole.events.filter(({ kind }) => kind === JobEventKind.STARTED)).toHaveLength(2);
      },
    );
  });

  it.each(["CREATED", "OPENED", "PRINTED"] as const)(
    "a result store that is killed at %s: another one answers at the same URL, and the job completes",
    { timeout: 60_000 },
    async (moment) => {
      await using printer = await printerNamed(`results-${moment}`, "push");
      const whole = await struck(system, printer, JobEventKind[moment], async () => {
        await resultStore.kill();
        // The printer has no one to fetch from for a while.
        await delay(500);
        resultStore = await add("result-store");
        results.add(resultStore.ready.httpAddress);
      });
      expectOnce(printer, whole);
    },
  );

  it("an intake that is killed: whoever watches goes on at another one, and misses nothing", async () => {
    const intake = await add("intake");
    await using intakes = await frontDoor(intake.ready.grpcAddress, system.intakeAddress);
    await using printer = await printerNamed("intake", "push");
    const seen: number[] = [];
    let watched: Promise<unknown> | undefined;
    const { job, events } = await struck(system, printer, JobEventKind.CREATED, async ({ jobId }) => {
      const watch = spawn(process.execPath, [main, "watch", jobId, "--json", "--server", intakes.address], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const exited = once(watch, "exit");
      const halfWay = Promise.withResolvers<void>();
      const reading = (async () => {
        for await (const line of createInterface({ input: watch.stdout })) {
          const { type, event } = JSON.parse(line) as { type: string; event: { sequence: string } };
          if (type !== "event") continue;
          seen.push(Number(event.sequence));
          if (line.includes("JOB_STATE_PROCESSING_STOPPED")) halfWay.resolve();
        }
      })();
      watched = Promise.all([exited, reading]).then(([[code]]) => code as unknown);
      await halfWay.promise;
      await intake.kill();
    });
    expect(job.state).toBe(COMPLETED);
    expect(await watched).toBe(0);
    expect(seen).toEqual(events.map((event) => Number(event.sequence)));
  });

  it.each([
    ["PAGE_CONVERTED", "SIGTERM", "poll", 0],
    ["PRINTED", "SIGKILL", "push", 0],
    // Leases and the registry's entries run out meanwhile.
    ["PAGE_CONVERTED", "SIGKILL", "push", 5000],
    ["PRINTED", "SIGKILL", "poll", 5000],
  ] as const)(
    "the NATS server goes at %s, by %s, the printer in %s mode, and comes again after %i ms: the job completes",
    { timeout: 90_000 },
    async (moment, signal, mode, awayMs) => {
      await using printer = await printerNamed(`nats-${moment}-${mode}-${awayMs}`, mode);
      const whole = await struck(system, printer, JobEventKind[moment], async () => {
        await system.nats!.stop(signal);
        await delay(awayMs);
        await system.nats!.start();
      });
      expectOnce(printer, whole);
    },
  );

  it("an executor that is told to stop finishes the conversion that it has", {
    timeout: 90_000,
  }, async () => {
    const executor = processOf("executor");
    await using printer = await printerNamed("draining", "push");
    const document = pdf(Array.from({ length: pages }, (_, n) => heavy(n + 1)));
    let toldMs = 0;
    const whole = await struck(
      system,
      printer,
      JobEventKind.OPENED,
      async () => {
        toldMs = Date.now();
        await executor[Symbol.asyncDispose]();
        expect(executor.process.exitCode).toBe(0);
        await add("executor");
      },
      document,
    );
    expectOnce(printer, whole);
    const steps: JobEventKind[] = [JobEventKind.OPENED, JobEventKind.PAGE_CONVERTED, JobEventKind.CONVERTED];
    const conversion = whole.events.filter(({ kind }) => steps.includes(kind));
    expect(conversion).toHaveLength(pages + 2);
    expect(timestampMs(conversion.at(-1)!.time!)).toBeGreaterThan(toldMs);
    expect(new Set(conversion.map(({ executorId }) => executorId))).toEqual(
      new Set([executor.ready.executors[0]!.id]),
    );
  });
});

describe("everything in one process, killed and started again on the same data", () => {
  it.each([
    ["CREATED", "push"],
    ["DOWNLOADED", "poll"],
    ["OPENED", "push"],
    ["PRINTED", "push"],
    ["PRINTED", "poll"],
  ] as const)(
    "at %s, the printer in %s mode: the job completes, once",
    { timeout: 60_000 },
    async (moment, mode) => {
      await using system = await servedSystem();
      await using printer = await testPrinter(system, {
        printerId: "crash",
        mode,
        engine: { paperSheets },
      });
      const job = await submit(system, printer.printerId, stamps(pages));
      for await (const { event } of system.intake.watchJob({ jobId: job.jobId }))
        if (event!.kind === JobEventKind[moment]) break;
      await system.crash();
      expectOnce(printer, await keepFilled(printer, ended(system, job)));
    },
  );
});

describe("the reaper", () => {
  it("removes what crashed jobs left, and leaves alone what a job needs", async () => {
    await using system = await embeddedSystem({ reapIntervalMs: 200, reapGraceMs: 1000 });
    await using printer = await testPrinter(system, {
      printerId: "reaped",
      mode: "push",
      engine: { paperSheets },
    });
    // Older than what is left behind below.
    const living = await submit(system, printer.printerId, stamps(pages));
    const stopped = Promise.withResolvers<void>();
    const whole = ended(system, living, ({ state }) => {
      if (state === PROCESSING_STOPPED) stopped.resolve();
    });
    await stopped.promise;

    const stores = await openSessionStores(system.storage, 3_600_000);
    // oxlint-disable-next-line require-await -- an async iterable of one
    const bytes = async function* () {
      yield Buffer.from("left behind");
    };
    /** All that a job may have in the stores, of a job that is in none. */
    const leave = async (...parts: ("session" | "source" | "result" | "page" | "blobs")[]) => {
      const session = { jobId: newJobId(Date.now()), printerId: parsePrinterId("gone") };
      const dbIndex = dbIndexOf(session);
      const identificationId = newIdentificationId();
      const createdMs = Date.now();
      const write = {
        session: async () => {
          await stores.sessions.put(dbIndex, {
            ...session,
            createdMs,
            tokenRequestId: "crashed",
            conversion: { requestId: "crashed", identificationId, completed: false },
          });
          await stores.tokens.put(dbIndex, {
            hashes: ["00"],
            issuedMs: createdMs,
            expiresMs: createdMs + 3_600_000,
          });
        },
        source: () => stores.sources.put(sourceKey(dbIndex), bytes()),
        result: () =>
          stores.results.put(identificationId, {
            ...session,
            dbIndex,
            location: identificationId,
            metafileUrl: "http://127.0.0.1/",
            impressions: 2,
            createdMs,
          }),
        page: () =>
          stores.pages.put(pageKey(identificationId, 1), {
            sizeBytes: 11,
            blankBands: 0,
            greyBands: 1,
            colorBands: 0,
          }),
        blobs: async () => {
          await stores.converted.put(metafileBlobKey(identificationId), bytes());
          await stores.converted.put(pageBlobKey(identificationId, 1), bytes());
        },
      };
      for (const part of parts) await write[part]();
      return { session, identificationId };
    };
    // Crashed at any step of S106 to S112.
    const left = [
      await leave("session"),
      await leave("session", "source"),
      await leave("session", "source", "result", "page", "blobs"),
      await leave("session", "result", "page", "blobs"),
      await leave("source"),
      await leave("result", "page", "blobs"),
      await leave("page", "blobs"),
      await leave("blobs"),
    ];
    for (const { session, identificationId } of left)
      expect(await system.leftovers(session, identificationId)).not.toEqual([]);

    for (const { session, identificationId } of left) {
      await vi.waitFor(async () => expect(await system.leftovers(session, identificationId)).toEqual([]), {
        timeout: 15_000,
        interval: 100,
      });
    }
    expectOnce(printer, await keepFilled(printer, whole));
  });
});
