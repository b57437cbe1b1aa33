/** Checks that need somebody at the engine: each cause of a stop, with a job open and without, and the cancel button. */
import { digestBands } from "../protocol/index.ts";
import type { Check } from "./checks.ts";
import { type Operator, type Stop, stops } from "./operator.ts";
import { jobMessage, makeBands, newJobKey, pageMessage, pageMessages } from "./pages.ts";
import { expectThat } from "./raw-host.ts";

const notThere = { skipped: "this engine has no such thing" } as const;

const stopInMidPage = (stop: Stop, operator: Operator): Check => ({
  name: `stops for ${stop} in mid-page, and goes on with that page when it is seen to`,
  async run(host) {
    await host.begin();
    const jobKey = newJobKey();
    const page = pageMessage(host.capabilities, 1);
    const bands = makeBands(host.capabilities, page);
    const messages = pageMessages(host.capabilities, page, bands, "raw");
    await host.send(jobMessage(jobKey), ...messages.slice(0, 3));
    if (!(await host.meanwhile(operator.bringAbout(stop)))) return notThere;
    const stopped = await host.statusWhere(
      ({ state, reasons, refusal }) => state === "stopped" && reasons.includes(stop) && refusal === "stopped",
      `STATUS does not say stopped, ${stop}, and the refusal stopped`,
    );
    expectThat(stopped.sheet === 0 && stopped.sheetsStacked === 0, "the sheet is not void");
    await host.meanwhile(operator.seeTo(stop));
    const seenTo = await host.statusWhere(
      ({ state, reasons }) => state !== "stopped" && !reasons.includes(stop),
      `STATUS still lists ${stop}`,
    );
    expectThat(seenTo.refusal === "stopped", "the refusal went with its reason: a host may have missed it");
    await host.abort();
    await host.send(jobMessage(jobKey), ...messages, { kind: "job-end" });
    const status = await host.statusWhere(
      (it) => it.sheetsStacked === 1,
      "the page is not stacked afterwards",
    );
    expectThat(status.stackedDigest === digestBands(0, bands), "the page is not what was sent");
    return stopped.message && `"${stopped.message}"`;
  },
});

/** Standing still without a job: nothing is void, and a page is refused. */
const stopWhenIdle = (operator: Operator): Check => ({
  name: "refuses a page while it stands still",
  async run(host) {
    await host.begin();
    if (!(await host.meanwhile(operator.bringAbout("cover-open")))) return notThere;
    const idle = await host.statusWhere(({ state }) => state === "stopped", "STATUS does not say stopped");
    expectThat(idle.refusal === "none", `refusal is ${idle.refusal} although there was no work`);
    await host.send(jobMessage(newJobKey()), pageMessage(host.capabilities, 1));
    await host.statusWhere(
      (it) => it.refusal === "stopped" && it.sheet === 0,
      "a page was taken while it stood still",
    );
    await host.meanwhile(operator.seeTo("cover-open"));
    await host.abort();
    await host.statusWhere(({ state }) => state === "idle", "STATUS does not say idle");
    return undefined;
  },
});

const cancelButton = (operator: Operator): Check => ({
  name: "counts the presses of its cancel button",
  async run(host) {
    await host.begin();
    const before = host.status!.cancelPresses;
    if (!(await host.meanwhile(operator.pressCancel()))) return { skipped: "no cancel button" };
    const isMore = (presses: number): boolean => ((presses - before) & 0xffff) > 0;
    await host.statusWhere(({ cancelPresses }) => isMore(cancelPresses), "cancelPresses does not grow");
    return undefined;
  },
});

export const attendedChecks = (operator: Operator): readonly Check[] => [
  ...stops.map((stop) => stopInMidPage(stop, operator)),
  stopWhenIdle(operator),
  cancelButton(operator),
];
