/** The scenarios of the whole flow, the same for every system: `describeScenarios` runs them on the one it is given. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ConversionService,
  type JobEvent,
  JobErrorAction,
  JobEventKind,
  JobState,
  JobStateReason,
  PrintColorMode,
  PrinterState,
  Sides,
} from "@platen/proto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { requestIds } from "../backend/src/app/job-run.ts";
import { parseSession } from "../backend/src/domain/ids.ts";
import { ended, executorOf, history, stampMedia, submit, upload } from "./support/jobs.ts";
import { heavy, pdf, stamps } from "./support/pdf.ts";
import { testPrinter } from "./support/printer.ts";
import type { TestSystem } from "./support/system.ts";

const { COMPLETED, CANCELED, ABORTED, PROCESSING_STOPPED } = JobState;

export function describeScenarios(name: string, start: () => Promise<TestSystem>): void {
  describe(name, () => {
    let system: TestSystem;
    beforeAll(async () => {
      system = await start();
    });
    afterAll(() => system?.[Symbol.asyncDispose]());

    describe.each(["push", "poll"] as const)("a printer in %s mode", (mode) => {
      it.each([
        [1, "colour"],
        [4, "mono"],
        [100, "colour"],
      ] as const)(
        "prints %i pages on a %s printer, and nothing of the session remains",
        { timeout: 120_000 },
        async (pages, kind) => {
          await using printer = await testPrinter(system, {
            printerId: `${mode}-${pages}`,
            mode,
            mono: kind === "mono",
          });
          const { job, events } = await ended(system, await submit(system, printer.printerId, stamps(pages)));
          expect(job).toMatchObject({ state: COMPLETED, impressions: pages, impressionsConverted: pages });
          expect(job).toMatchObject({ impressionsCompleted: pages, mediaSheetsCompleted: pages });
          const sheets = printer.sheetsOf(job.jobId);
          expect(sheets.map((sheet) => sheet.sheetNumber)).toEqual(
            Array.from({ length: pages }, (_, n) => n + 1),
          );
          expect([...sheets[0]!.sides[0]!.planes.keys()]).toEqual(
            kind === "mono" ? ["black"] : ["cyan", "magenta", "yellow", "black"],
          );
          const { printers } = await system.intake.listPrinters({});
          const registered = printers.find(({ printerId }) => printerId === printer.printerId);
          expect(registered?.status).toMatchObject({ state: PrinterState.IDLE, currentJobId: "" });
          const told = new Set(events.map((event) => event.kind));
          const steps = [
            JobEventKind.CREATED,
            JobEventKind.STARTED,
            JobEventKind.TOKEN_ISSUED,
            JobEventKind.DOWNLOADED,
            JobEventKind.OPENED,
            JobEventKind.PAGE_CONVERTED,
            JobEventKind.PRINT_REQUESTED,
            JobEventKind.PRINTED,
            JobEventKind.ENDED,
          ];
          for (const step of steps) expect(told).toContain(step);
          expect(events.map((event) => Number(event.sequence))).toEqual(events.map((_, index) => index + 1));
        },
      );

      it("S1411, S1414: a user's cancel in mid-job ends it as canceled", async () => {
        await using printer = await testPrinter(system, { printerId: `${mode}-cancel`, mode });
        const submitted = await submit(system, printer.printerId, stamps(30));
        let asked = false;
        const { job } = await ended(system, submitted, async (event) => {
          if (event.kind !== JobEventKind.PRINTED || asked) return;
          asked = true;
          await system.intake.cancelJob({ jobId: submitted.jobId });
        });
        expect(job.state).toBe(CANCELED);
        expect(job.stateReasons).toContain(JobStateReason.JOB_CANCELED_BY_USER);
        expect(printer.sheetsOf(job.jobId).length).toBeLessThan(30);
        const next = await ended(system, await submit(system, printer.printerId, stamps(1)));
        expect(next.job.state).toBe(COMPLETED);
      });

      it.each([
        ["no ink", "marker-supply-empty"],
        ["no paper", "media-empty"],
        ["a jam", "media-jam"],
        ["an engine fault", "engine-fault"],
      ] as const)(
        "S1411, S1414: %s cancels a job whose policy is cancel-job, with the reason",
        async (_, trouble) => {
          await using printer = await testPrinter(system, { printerId: `${mode}-${trouble}`, mode });
          printer.engine.failAtSheet(trouble, 2);
          const ticket = { jobErrorAction: JobErrorAction.CANCEL_JOB };
          const { job } = await ended(system, await submit(system, printer.printerId, stamps(3), ticket));
          expect(job).toMatchObject({ state: CANCELED, errorCode: "engine-fault", mediaSheetsCompleted: 1 });
          expect(job.stateReasons).toEqual([JobStateReason.CANCELED_BY_ENGINE_FAULT]);
        },
      );

      it("a job stops while paper is out, and goes on by itself: each sheet comes once", async () => {
        await using printer = await testPrinter(system, {
          printerId: `${mode}-resume`,
          mode,
          engine: { paperSheets: 2 },
        });
        const { job, events } = await ended(
          system,
          await submit(system, printer.printerId, stamps(5)),
          (event) => {
            if (event.state === PROCESSING_STOPPED) printer.engine.remedy();
          },
        );
        expect(job).toMatchObject({ state: COMPLETED, mediaSheetsCompleted: 5 });
        expect(events.some((event) => event.state === PROCESSING_STOPPED)).toBe(true);
        expect(printer.sheetsOf(job.jobId).map((sheet) => sheet.sheetNumber)).toEqual([1, 2, 3, 4, 5]);
      });

      it("S1411: the cancel button of the engine ends the job", async () => {
        await using printer = await testPrinter(system, { printerId: `${mode}-button`, mode });
        printer.engine.failAtSheet("cancel-pressed", 2);
        const { job } = await ended(system, await submit(system, printer.printerId, stamps(4)));
        expect(job.state).toBe(CANCELED);
        expect(job.stateReasons).toContain(JobStateReason.JOB_CANCELED_AT_DEVICE);
      });

      it("a printer switched off in mid-job and on again prints the rest, no sheet twice", async () => {
        const printerId = `${mode}-restart`;
        const stateDir = await mkdtemp(join(tmpdir(), "platen-restart-"));
        await using folders = new AsyncDisposableStack();
        folders.defer(() => rm(stateDir, { recursive: true }));
        const first = await testPrinter(system, { printerId, mode, settings: { stateDir } });
        const submitted = await submit(system, printerId, stamps(12));
        const stackedByFirst = Promise.withResolvers<number>();
        const whole = ended(system, submitted, (event) => {
          if (event.mediaSheetsCompleted >= 3) stackedByFirst.resolve(event.mediaSheetsCompleted);
        });
        await stackedByFirst.promise;
        await first[Symbol.asyncDispose]();
        await using second = await testPrinter(system, { printerId, mode, settings: { stateDir } });
        const { job } = await whole;
        expect(job).toMatchObject({ state: COMPLETED, mediaSheetsCompleted: 12 });
        const numbers = [...first.sheetsOf(job.jobId), ...second.sheetsOf(job.jobId)].map(
          (sheet) => sheet.sheetNumber,
        );
        expect(numbers).toEqual(Array.from({ length: 12 }, (_, n) => n + 1));
      });
    });

    it("two-sided copies come collated, front and back", async () => {
      await using printer = await testPrinter(system, { printerId: "duplex", mode: "poll" });
      const ticket = { copies: 2, sides: Sides.TWO_SIDED_LONG_EDGE };
      const { job } = await ended(system, await submit(system, printer.printerId, stamps(3), ticket));
      expect(job).toMatchObject({
        state: COMPLETED,
        impressions: 3,
        impressionsCompleted: 6,
        mediaSheetsCompleted: 4,
      });
      expect(printer.sheetsOf(job.jobId).map((sheet) => sheet.sides.length)).toEqual([2, 1, 2, 1]);
    });

    it("a monochrome job on a colour printer lays no colour", async () => {
      await using printer = await testPrinter(system, { printerId: "mono-mode", mode: "poll" });
      const ticket = { printColorMode: PrintColorMode.MONOCHROME };
      const { job } = await ended(system, await submit(system, printer.printerId, stamps(1), ticket));
      const dots = (plane: Uint8Array | undefined) => plane?.some((byte) => byte !== 0) ?? false;
      const [side] = printer.sheetsOf(job.jobId)[0]!.sides;
      expect(dots(side!.planes.get("black"))).toBe(true);
      for (const ink of ["cyan", "magenta", "yellow"] as const)
        expect(dots(side!.planes.get(ink))).toBe(false);
    });

    it("jobs to one printer print in order, and two printers do not wait for each other", async () => {
      await using one = await testPrinter(system, {
        printerId: "order-1",
        mode: "push",
        engine: { paperSheets: 2 },
      });
      await using two = await testPrinter(system, { printerId: "order-2", mode: "poll" });
      const jobs = [];
      for (let n = 0; n < 3; n++) jobs.push(await submit(system, one.printerId, stamps(2)));
      // The first printer stands still, out of paper, while the second one works.
      const stopped = Promise.withResolvers<void>();
      const all = Promise.all(
        jobs.map((job) =>
          ended(system, job, (event) => {
            if (event.state === PROCESSING_STOPPED) stopped.resolve();
          }),
        ),
      );
      await stopped.promise;
      const other = await ended(system, await submit(system, two.printerId, stamps(2)));
      expect(other.job.state).toBe(COMPLETED);
      const keepFilled = setInterval(() => one.engine.remedy(), 50);
      try {
        for (const { job } of await all) expect(job.state).toBe(COMPLETED);
      } finally {
        clearInterval(keepFilled);
      }
      expect(one.engine.sheets.map((sheet) => sheet.jobId)).toEqual(
        jobs.flatMap(({ jobId }) => [jobId, jobId]),
      );
    });

    it("S1207: prints what lies at a URL; S1208: a URL that fails ends the job with the reason", async () => {
      await using printer = await testPrinter(system, { printerId: "by-url", mode: "poll" });
      const document = stamps(1);
      const server = createServer((request, response) => {
        if (request.url === "/there.pdf") response.end(document);
        else response.writeHead(404).end();
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      try {
        const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
        const print = async (uri: string) => {
          const request = {
            printerId: printer.printerId,
            document: { case: "documentUri" as const, value: uri },
          };
          const { job } = await system.intake.submitJob({ ...request, ticket: { media: stampMedia } });
          return (await ended(system, job!)).job;
        };
        expect(await print(`${base}/there.pdf`)).toMatchObject({ state: COMPLETED });
        const failed = await print(`${base}/not-there.pdf`);
        expect(failed).toMatchObject({ state: ABORTED, errorCode: "download-failed" });
        expect(failed.stateReasons).toContain(JobStateReason.DOCUMENT_ACCESS_ERROR);
        expect(failed.stateMessage).toContain("404");
      } finally {
        server.close();
      }
    });

    it("a damaged document ends its job with a typed error, and the next job prints", async () => {
      await using printer = await testPrinter(system, { printerId: "damaged", mode: "push" });
      const { job } = await ended(
        system,
        await submit(system, printer.printerId, Buffer.from("%PDF-1.7\nnothing of the kind")),
      );
      expect(job).toMatchObject({ state: ABORTED, errorCode: "document-damaged" });
      expect(job.stateReasons).toContain(JobStateReason.DOCUMENT_FORMAT_ERROR);
      expect((await ended(system, await submit(system, printer.printerId, stamps(1)))).job.state).toBe(
        COMPLETED,
      );
    });

    it("a job canceled before anybody took it up, behind one that waits for paper, ends at once", async () => {
      await using printer = await testPrinter(system, {
        printerId: "queued",
        mode: "poll",
        engine: { paperSheets: 1 },
      });
      const first = await submit(system, printer.printerId, stamps(2));
      const second = await submit(system, printer.printerId, stamps(1));
      await system.intake.cancelJob({ jobId: second.jobId });
      expect((await ended(system, second)).job.state).toBe(CANCELED);
      const { job } = await ended(system, first, (event) => {
        if (event.state === PROCESSING_STOPPED) printer.engine.remedy();
      });
      expect(job.state).toBe(COMPLETED);
      expect(printer.sheetsOf(second.jobId)).toEqual([]);
    });

    it("cancel completes also when the printer is gone", async () => {
      const printer = await testPrinter(system, {
        printerId: "gone",
        mode: "push",
        engine: { paperSheets: 1 },
      });
      const submitted = await submit(system, printer.printerId, stamps(3));
      let left = false;
      const { job } = await ended(system, submitted, async (event) => {
        if (event.state !== PROCESSING_STOPPED || left) return;
        left = true;
        await printer[Symbol.asyncDispose]();
        await system.intake.cancelJob({ jobId: submitted.jobId });
      });
      expect(job.state).toBe(CANCELED);
    });

    it("the history of a job can be watched from the start, from the middle and after the end", async () => {
      await using printer = await testPrinter(system, { printerId: "watched", mode: "poll" });
      const job = await submit(system, printer.printerId, stamps(2));
      const live = await history(system, job.jobId);
      const replayed: JobEvent[] = [];
      for await (const { event } of system.intake.watchJob({ jobId: job.jobId, afterSequence: 2n }))
        replayed.push(event!);
      expect(replayed.slice(0, live.length - 2)).toEqual(live.slice(2));
    });

    it("a submission repeated with the same request id makes one job", async () => {
      await using printer = await testPrinter(system, { printerId: "idempotent", mode: "poll" });
      const document = { case: "documentId" as const, value: await upload(system, stamps(1)) };
      const request = {
        requestId: `once-${name}`,
        printerId: printer.printerId,
        document,
        ticket: { media: stampMedia },
      };
      const answers = await Promise.all(Array.from({ length: 5 }, () => system.intake.submitJob(request)));
      expect(new Set(answers.map(({ job }) => job!.jobId)).size).toBe(1);
      await ended(system, answers[0]!.job!);
      expect(printer.engine.sheets).toHaveLength(1);
    });

    it("S1105: a session that somebody else created aborts the job, and is not taken from its owner", async () => {
      await using printer = await testPrinter(system, {
        printerId: "taken",
        mode: "poll",
        engine: { paperSheets: 1 },
      });
      const first = await submit(system, printer.printerId, stamps(2));
      const second = await submit(system, printer.printerId, stamps(1));
      using executors = system.executors("round_robin");
      const client = executors.client(ConversionService);
      const session = parseSession(second);
      await client.requestToken({ requestId: "somebody-else", session }, { timeoutMs: 5000 });
      const endedFirst = ended(system, first, (event) => {
        if (event.state === PROCESSING_STOPPED) printer.engine.remedy();
      });
      const events = await history(system, second.jobId);
      expect(events.at(-1)).toMatchObject({ state: ABORTED, errorCode: "session-exists" });
      await endedFirst;
      expect(requestIds(session.jobId).token).not.toBe("somebody-else");
    });

    it("an executor killed in the middle of converting: the job completes, each sheet once", {
      timeout: 90_000,
    }, async () => {
      await using printer = await testPrinter(system, { printerId: "killed", mode: "push" });
      await using doomed = await system.addExecutor();
      await vi.waitFor(() => expect(doomed.ready.executors).toHaveLength(1));
      const doomedId = doomed.ready.executors[0]!.id;
      const document = pdf(Array.from({ length: 6 }, (_, n) => heavy(n + 1)));
      // Which executor gets the conversion is the balancer's choice: print until it was the doomed one, and it died of it.
      const killed = new AbortController();
      for (let round = 0; !killed.signal.aborted; round++) {
        expect(round).toBeLessThan(12);
        const { job, events } = await ended(
          system,
          await submit(system, printer.printerId, document),
          async (event) => {
            if (
              event.kind !== JobEventKind.PAGE_CONVERTED ||
              event.executorId !== doomedId ||
              killed.signal.aborted
            )
              return;
            killed.abort();
            await doomed.kill();
          },
        );
        expect(job).toMatchObject({ state: COMPLETED, mediaSheetsCompleted: 6 });
        expect(printer.sheetsOf(job.jobId).map((sheet) => sheet.sheetNumber)).toEqual([1, 2, 3, 4, 5, 6]);
        if (killed.signal.aborted)
          expect(
            events.some(
              (event) => event.kind === JobEventKind.PAGE_CONVERTED && event.executorId !== doomedId,
            ),
          ).toBe(true);
      }
    });

    it("an executor added while running gets work", { timeout: 60_000 }, async () => {
      await using printer = await testPrinter(system, { printerId: "added", mode: "poll" });
      await using added = await system.addExecutor();
      const id = added.ready.executors[0]!.id;
      const seen = new Set<string | undefined>();
      for (let round = 0; !seen.has(id) && round < 12; round++) {
        const { events } = await ended(system, await submit(system, printer.printerId, stamps(1)));
        for (const kind of [JobEventKind.TOKEN_ISSUED, JobEventKind.DOWNLOADED, JobEventKind.OPENED])
          seen.add(executorOf(events, kind));
      }
      expect(seen).toContain(id);
    });
  });
}
