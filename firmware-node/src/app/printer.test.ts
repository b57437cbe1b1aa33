import {
  type JobErrorAction,
  JobState,
  JobStateReason,
  PrinterState,
  PrinterStateReason,
} from "@platen/proto";
import { beforeAll, describe, expect, test } from "vitest";
import { makePage, type TestPage } from "../testing/pages.ts";
import type { Interception } from "../testing/result-server.ts";
import { last, startRig, statusesOf, statusWhere, stopped } from "../testing/rig.ts";

let pages: TestPage[];
beforeAll(async () => {
  pages = [await makePage(1)];
});

/** Holds the page until the test opens it. */
function heldPage(): { intercept: Interception; open: () => void; asked: Promise<void> } {
  const opened = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  return {
    open: opened.resolve,
    asked: asked.promise,
    intercept: async ({ url }) => {
      if (url === "/pages/1") {
        asked.resolve();
        await opened.promise;
      }
      return false;
    },
  };
}

describe("the queue of prints", () => {
  test("prints come out one at a time, in the order in which they arrived", async () => {
    await using rig = await startRig({ pages, ticket: { copies: 2 } });
    const jobs = ["b", "a", "c"];
    for (const jobId of jobs) rig.printer.submit(rig.instruction({ jobId }));
    await Promise.all(jobs.map((jobId) => statusesOf(rig.printer, jobId)));
    expect(rig.model.sheets.map(({ jobId }) => jobId)).toEqual(["b", "b", "a", "a", "c", "c"]);
  });

  test("a repeat of a print that waits, prints or has ended answers with its status and prints nothing more", async () => {
    const held = heldPage();
    await using rig = await startRig({ pages, intercept: held.intercept });
    rig.printer.submit(rig.instruction());
    rig.printer.submit(rig.instruction({ jobId: "job-2" }));
    await held.asked;
    expect(rig.printer.submit(rig.instruction()).state).toBe(JobState.PROCESSING);
    expect(rig.printer.submit(rig.instruction({ jobId: "job-2" })).state).toBe(JobState.PENDING);
    held.open();
    await statusesOf(rig.printer, "job-2");
    expect(rig.printer.submit(rig.instruction())).toEqual(last(await statusesOf(rig.printer, "job-1")));
    expect(rig.model.sheets.map(({ jobId }) => jobId)).toEqual(["job-1", "job-2"]);
  });

  test("a print that waits is canceled at once, and never begun", async () => {
    const held = heldPage();
    await using rig = await startRig({ pages, intercept: held.intercept });
    rig.printer.submit(rig.instruction());
    rig.printer.submit(rig.instruction({ jobId: "job-2" }));
    await held.asked;
    rig.printer.cancel("job-2");
    expect(last(await statusesOf(rig.printer, "job-2"))).toMatchObject({
      state: JobState.CANCELED,
      stateReasons: [JobStateReason.JOB_CANCELED_BY_USER],
    });
    held.open();
    expect(last(await statusesOf(rig.printer, "job-1")).state).toBe(JobState.COMPLETED);
    expect(rig.server.requests).not.toContain("/metafiles/job-2");
  });

  test("canceling what has ended changes nothing, and what is not known is not known", async () => {
    await using rig = await startRig({ pages });
    const end = last(await rig.print());
    expect(rig.printer.cancel("job-1")).toEqual(end);
    expect(rig.printer.cancel("job-9")).toBeUndefined();
    expect(() => rig.printer.watch("job-9", new AbortController().signal)).toThrow(
      "knows nothing of job job-9",
    );
  });

  test("more than a hundred waiting prints are refused until there is room", async () => {
    const held = heldPage();
    await using rig = await startRig({ pages, intercept: held.intercept });
    for (let i = 0; i <= 100; i++) rig.printer.submit(rig.instruction({ jobId: `job-${i}` }));
    expect(() => rig.printer.submit(rig.instruction({ jobId: "one-more" }))).toThrow(
      "100 prints are waiting",
    );
    rig.printer.cancel("job-100");
    rig.printer.submit(rig.instruction({ jobId: "one-more" }));
  });

  test("while it pauses it takes no prints but ends those that it has, and says nothing of it to a repeat", async () => {
    await using rig = await startRig({ pages });
    rig.printer.submit(rig.instruction());
    {
      using _pause = rig.printer.pause();
      expect(() => rig.printer.submit(rig.instruction({ jobId: "job-2" }))).toThrow("changing its software");
      rig.printer.submit(rig.instruction());
      expect(last(await statusesOf(rig.printer, "job-1")).state).toBe(JobState.COMPLETED);
    }
    rig.printer.submit(rig.instruction({ jobId: "job-2" }));
  });

  test.each([
    ["another printer's", { session: { jobId: "job-1", printerId: "other" } }, /for printer "other"/],
    ["a job id that could name another folder", { jobId: "../x" }, /job id/],
    ["no session", { session: undefined as never }, /job id/],
    ["no URL", { metafileUrl: "metafile" }, /metafile_url/],
    ["a URL of a file", { metafileUrl: "file:///etc/passwd" }, /metafile_url/],
    ["no token", { token: "" }, /token/],
    ["a token that breaks a header", { token: "a\r\nb" }, /token/],
    ["an action of a later version", { jobErrorAction: 7 as JobErrorAction }, /job_error_action 7/],
  ])("a print request is refused: %s", async (_, init, message) => {
    await using rig = await startRig({ pages });
    expect(() => rig.printer.submit(rig.instruction(init))).toThrow(message);
  });
});

describe("watching a print", () => {
  test("begins with the status as it stands, shows the end, and ends with it, for any number of watchers", async () => {
    const held = heldPage();
    await using rig = await startRig({ pages, intercept: held.intercept });
    rig.printer.submit(rig.instruction());
    await held.asked;
    const watchers = [statusesOf(rig.printer, "job-1"), statusesOf(rig.printer, "job-1")];
    held.open();
    const [one, two] = await Promise.all(watchers);
    expect(one![0]!.state).toBe(JobState.PROCESSING);
    expect(last(one!)).toEqual(last(two!));
    expect(await statusesOf(rig.printer, "job-1")).toEqual([last(one!)]);
  });

  test("to the end makes it told; a watcher that is cut off has not heard, one that goes by itself wants no more", async () => {
    await using rig = await startRig({ pages });
    const { printer } = rig;
    const [watched, left, cut] = ["watched", "left", "cut"].map((jobId) => {
      printer.submit(rig.instruction({ jobId }));
      return jobId;
    });
    expect(printer.endsAreTold).toBe(true);
    await statusesOf(printer, watched!);
    expect(printer.endsAreTold).toBe(true);
    for await (const _ of printer.watch(left!, new AbortController().signal)) break;
    const line = new AbortController();
    for await (const { state } of printer.watch(cut!, line.signal))
      if (state === JobState.COMPLETED) line.abort();
    expect(printer.endsAreTold).toBe(false);
    await statusesOf(printer, cut!);
    expect(printer.endsAreTold).toBe(true);
  });

  test("ends when the watcher goes away", async () => {
    const held = heldPage();
    await using rig = await startRig({ pages, intercept: held.intercept });
    rig.printer.submit(rig.instruction());
    const away = new AbortController();
    const watch = rig.printer.watch("job-1", away.signal);
    await watch.next();
    await held.asked;
    const rest = (async () => {
      for await (const status of watch) expect(status.state).toBe(JobState.PROCESSING);
    })();
    away.abort();
    await rest;
  });
});

test("the printer's status says what it does, why it stands still, and what is left of its inks", async () => {
  const held = heldPage();
  await using rig = await startRig({ pages, intercept: held.intercept, engine: { inkDots: 10_000 } });
  expect(rig.printer.status()).toMatchObject({ state: PrinterState.IDLE, currentJobId: "", heldJobs: 0 });
  rig.printer.submit(rig.instruction());
  rig.printer.submit(rig.instruction({ jobId: "job-2" }));
  await held.asked;
  expect(rig.printer.status()).toMatchObject({
    state: PrinterState.PROCESSING,
    currentJobId: "job-1",
    heldJobs: 2,
  });
  rig.model.fail("media-jam");
  held.open();
  await statusWhere(rig.printer, "job-1", stopped);
  expect(rig.printer.status()).toMatchObject({
    state: PrinterState.STOPPED,
    stateReasons: [PrinterStateReason.MEDIA_JAM],
    message: "a sheet is jammed",
  });
  rig.model.remedy();
  await statusesOf(rig.printer, "job-2");
  const { state, currentJobId, heldJobs, markerSupplies } = rig.printer.status();
  expect({ state, currentJobId, heldJobs }).toEqual({
    state: PrinterState.IDLE,
    currentJobId: "",
    heldJobs: 0,
  });
  expect(markerSupplies.map(({ colorant }) => colorant)).toEqual(["cyan", "magenta", "yellow", "black"]);
  for (const { levelPercent } of markerSupplies) expect(levelPercent).toBeLessThan(100);
});
