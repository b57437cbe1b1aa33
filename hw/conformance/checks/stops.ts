/** Checks that need somebody at the engine: each cause of a stop, with a job open and without, and the cancel button. */
import { jobMessage, newJobKey, pageMessage, testPage } from "../pages.ts";
import { type Operator, type Stop, stops } from "../operator.ts";
import { expectThat, type RawHost } from "../raw-host.ts";
import type { Check } from "./check.ts";

const notThere = { skipped: "this engine has no such thing" } as const;

/**
 * A stop that somebody has brought about. Disposing of it sees to it, where the check did not get so far: the next one must
 * find an engine that can print.
 */
class BroughtAbout implements AsyncDisposable {
  readonly #stop: Stop;
  readonly #operator: Operator;
  readonly #host: RawHost;
  #seenTo = false;

  private constructor(stop: Stop, operator: Operator, host: RawHost) {
    this.#stop = stop;
    this.#operator = operator;
    this.#host = host;
  }

  /** Undefined when this engine has no such thing. */
  static async at(host: RawHost, operator: Operator, stop: Stop): Promise<BroughtAbout | undefined> {
    if (!(await host.meanwhile(operator.bringAbout(stop)))) return undefined;
    return new BroughtAbout(stop, operator, host);
  }

  async seeTo(): Promise<void> {
    this.#seenTo = true;
    await this.#host.meanwhile(this.#operator.seeTo(this.#stop));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#seenTo) return;
    // The check has failed, and has said why: what goes wrong now adds nothing to that.
    await this.seeTo().catch(() => {});
    await this.#host.statusWhere(({ state }) => state !== "stopped", "").catch(() => {});
  }
}

const stopInMidPage = (stop: Stop, operator: Operator): Check => ({
  name: `stops for ${stop} in mid-page, and goes on with that page when it is seen to`,
  async run(host) {
    await host.begin();
    const jobKey = newJobKey();
    const { messages, digest } = testPage(host.capabilities);
    await host.send(jobMessage(jobKey), ...messages.slice(0, 3));
    await using cause = await BroughtAbout.at(host, operator, stop);
    if (!cause) return notThere;
    const stopped = await host.statusWhere(
      ({ state, reasons, refusal }) => state === "stopped" && reasons.includes(stop) && refusal === "stopped",
      `STATUS does not say stopped, ${stop}, and the refusal stopped`,
    );
    expectThat(stopped.sheet === 0 && stopped.sheetsStacked === 0, "the sheet is not void");
    await cause.seeTo();
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
    expectThat(status.stackedDigest === digest, "the page is not what was sent");
    return stopped.message && `"${stopped.message}"`;
  },
});

/** Standing still without a job: nothing is void, and a page is refused. */
const stopWhenIdle = (operator: Operator): Check => ({
  name: "refuses a page while it stands still",
  async run(host) {
    await host.begin();
    await using cause = await BroughtAbout.at(host, operator, "cover-open");
    if (!cause) return notThere;
    const idle = await host.statusWhere(({ state }) => state === "stopped", "STATUS does not say stopped");
    expectThat(idle.refusal === "none", `refusal is ${idle.refusal} although there was no work`);
    await host.send(jobMessage(newJobKey()), pageMessage(host.capabilities, 1));
    await host.statusWhere(
      (it) => it.refusal === "stopped" && it.sheet === 0,
      "a page was taken while it stood still",
    );
    await cause.seeTo();
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
