/** A printer whose engine is not there when it starts: the real port, and pseudo-terminals that appear later. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { EngineModel } from "@platen/hw";
import { attachEngine, instantMechanics, ptyLine, simulatedCapabilities } from "@platen/hw/link";
import { JobState, PrinterState, PrinterStateReason, PrintInstructionSchema } from "@platen/proto";
import { expect, test } from "vitest";
import { startPrinter } from "../start.ts";
import { dotsOfPage, dotsOfSheet } from "../testing/dots.ts";
import { makePage } from "../testing/pages.ts";
import { startResultServer, testToken } from "../testing/result-server.ts";
import { TestBackend } from "../testing/test-backend.ts";

test.each(["poll", "push"] as const)(
  "in %s mode it registers all the same, says so, and registers again when the engine has come",
  async (mode) => {
    await using made = new AsyncDisposableStack();
    const stateDir = await mkdtemp(join(tmpdir(), "platen-absent-"));
    made.defer(() => rm(stateDir, { recursive: true }));
    const path = join(stateDir, "port");
    const backend = made.use(new TestBackend());
    const settings = { printerId: "printer-1", stateDir, mode, backend: await backend.listen() };
    // An hour between registrations: one that comes sooner comes because of the engine.
    const sink = { sink: `serial:${path}`, mono: true, registerIntervalS: 3600 };
    const { printer } = made.use(await startPrinter({ ...settings, ...sink }));
    await backend.until(() => backend.registrations.length > 0);
    const { CONNECTING_TO_DEVICE, ENGINE_OFFLINE } = PrinterStateReason;
    expect(backend.registrations[0]).toMatchObject({
      capabilities: { colorSupported: false, resolutionsDpi: [300, 600, 1200] },
      status: {
        state: PrinterState.STOPPED,
        stateReasons: [CONNECTING_TO_DEVICE, ENGINE_OFFLINE],
        message: expect.stringMatching(/^no engine answers on the serial port: No such file/),
      },
    });

    const page = await makePage(1);
    const results = made.use(await startResultServer({ pages: [page] }));
    const session = { jobId: "job-1", printerId: "printer-1" };
    printer.submit(
      create(PrintInstructionSchema, {
        session,
        metafileUrl: results.metafileUrl("job-1"),
        token: testToken,
      }),
    );
    const statuses = printer.watch("job-1", new AbortController().signal);
    for await (const { state, printerStateReasons } of statuses) {
      if (state !== JobState.PROCESSING_STOPPED) continue;
      expect(printerStateReasons).toEqual([CONNECTING_TO_DEVICE, ENGINE_OFFLINE]);
      break;
    }

    const line = made.use(await ptyLine(path));
    const model = new EngineModel({ keepSheets: true });
    made.use(attachEngine(line, model, { mechanics: instantMechanics }));
    await backend.until(() => backend.registrations.length > 1);
    expect(backend.registrations[1]).toMatchObject({
      capabilities: {
        makeAndModel: simulatedCapabilities.makeAndModel,
        colorSupported: true,
        resolutionsDpi: simulatedCapabilities.resolutionsDpi,
      },
    });
    let end: JobState | undefined;
    for await (const { state } of printer.watch("job-1", new AbortController().signal)) end = state;
    expect(end).toBe(JobState.COMPLETED);
    expect(model.sheets.map(dotsOfSheet)).toEqual([[dotsOfPage(page)]]);
    expect(printer.status()).toMatchObject({ state: PrinterState.IDLE, message: "" });
  },
  30_000,
);

test("who wants it to end says how long it may wait", async () => {
  const settings = {
    printerId: "printer-1",
    backend: "127.0.0.1:1",
    sink: "serial:/nowhere/port?wait-s=0.1",
  };
  await expect(startPrinter(settings)).rejects.toMatchObject({
    code: "engine-offline",
    message: expect.stringContaining("No such file"),
  });
});
