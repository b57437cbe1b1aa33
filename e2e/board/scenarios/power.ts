/** The power goes, at moments that a seed chooses, during updates and during printing. */
import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "@platen/hw/link";
import { Failed, type Stand } from "../stand.ts";
import type { Notes, Scenario } from "./scenario.ts";
import { UpdatePhase } from "@platen/proto";

/** From an update's first sign to its version's health, on a busy machine, milliseconds. */
const updateMs = 90_000;
const sheets = 2;

async function duringUpdate(stand: Stand, notes: Notes, moment: number): Promise<void> {
  const before = await stand.seen("with a version", ({ update }) => update?.version || undefined);
  const version = stand.nextVersion();
  await stand.backend.platen("updates", "add", await stand.releases.make(version));
  await stand.backend.platen("updates", "rollout", version);
  await stand.seen(
    `on its way to ${version}`,
    ({ update }) => update?.targetVersion === version || undefined,
  );
  const cutMs = Math.round(moment * updateMs);
  await delay(cutMs, undefined, { signal: stand.signal });
  const phase = await stand.seen("at all", ({ update }) => update?.phase);
  await stand.cutPower();
  await stand.powerOn();
  await stand.ready();
  const after = await stand.seen("with a version", ({ update }) => update?.version || undefined);
  if (after !== before && after !== version)
    throw new Failed(`${after} runs, which is neither ${before} nor ${version}`);
  const { tookS } = await stand.print(1);
  notes.saw(
    `cut ${(cutMs / 1000).toFixed(1)} s into the update to ${version} (${phaseName(phase)}): came back on ${after}, and printed in ${Math.round(tookS)} s`,
  );
}

const phaseName = (phase: UpdatePhase): string =>
  (Object.entries(UpdatePhase).find(([, value]) => value === phase)?.[0] ?? "?")
    .toLowerCase()
    .replaceAll("_", " ");

async function duringPrinting(stand: Stand, notes: Notes, moment: number): Promise<void> {
  await stand.expected(sheets);
  const jobId = await stand.submit(sheets);
  const sheet = 1 + Math.floor(moment * sheets);
  const rows = Math.floor(((moment * sheets) % 1) * 1700);
  await stand.engine.reached(jobId, sheet, rows, stand.signal);
  await stand.cutPower();
  await stand.powerOn();
  await stand.printed(jobId, sheets);
  notes.saw(`cut at row ${rows} of sheet ${sheet}: the job went on by itself, and no sheet came twice`);
}

export const power = (seed: number, cuts: number): Scenario => ({
  name: "power",
  title: `the power is cut ${cuts} times during updates and printing: the board comes back and prints`,
  async run(stand, notes) {
    const random = seededRandom(seed);
    for (let cut = 0; cut < cuts; cut++) {
      await stand.readyBoard();
      await (cut % 2 === 0 ? duringUpdate : duringPrinting)(stand, notes, random());
    }
  },
});
