/** A board has no clock that runs while it is off, and perhaps no server that tells the time. */
import { Failed } from "../failed.ts";
import type { Scenario } from "./scenario.ts";

export const clock: Scenario = {
  name: "clock",
  title: "a board whose clock is years behind prints, over TLS",
  async run(stand, notes) {
    if (!stand.hasCard) await stand.newCard();
    await stand.powerOn({ clock: "2001-02-03T04:05:06" });
    await stand.ready();
    const behindS = Date.now() / 1000 - Number(await stand.root("date +%s"));
    const year = await stand.root("date +%Y");
    notes.figure("clock of the board behind, s", Math.round(behindS));
    if (behindS < 60) throw new Failed(`the clock is right after all: ${year}`);
    await stand.print(1);
    notes.saw("a job printed: neither tokens nor leases depend on the board's clock");
    await stand.cutPower();
  },
};
