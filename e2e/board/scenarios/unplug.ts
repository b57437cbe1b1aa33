/** The cable to the engine is put in late; it is pulled out in the middle of a page, and put back. */
import { PrinterState } from "@platen/proto";
import type { Scenario } from "./scenario.ts";

export const plugLate: Scenario = {
  name: "plug-late",
  title: "a board that is switched on without the engine's cable prints once it is put in",
  async run(stand, notes) {
    if (!stand.hasCard) await stand.newCard();
    await stand.powerOn({ unplugged: true });
    await stand.seen("stopped", ({ status }) => (status?.state === PrinterState.STOPPED ? true : undefined));
    notes.saw("platen printers shows it stopped");
    const pluggedMs = performance.now();
    await stand.board.plug();
    await stand.ready();
    notes.figure("cable in to ready, s", Math.round((performance.now() - pluggedMs) / 1000));
    await stand.print(1);
    notes.saw("a job prints");
  },
};

export const unplug: Scenario = {
  name: "unplug",
  title: "the engine's USB cable is pulled out in mid-page and put back: the job goes on",
  async run(stand, notes) {
    await stand.readyBoard();
    await stand.expected(3);
    const jobId = await stand.submit(3);
    await stand.engine.reached(jobId, 2, 400, stand.signal);
    await stand.board.unplug();
    const { rows } = stand.engine.progress;
    notes.saw(`the cable was pulled out with ${rows} rows of sheet 2 at the engine`);
    await stand.seen("stopped", ({ status }) => (status?.state === PrinterState.STOPPED ? true : undefined));
    notes.saw("platen printers shows it stopped");
    const pluggedMs = performance.now();
    await stand.board.plug();
    await stand.printed(jobId, 3);
    notes.saw("the job is complete: each sheet once, every bit right");
    notes.figure("cable in to the job's end, s", Math.round((performance.now() - pluggedMs) / 1000));
  },
};
