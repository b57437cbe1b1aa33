/** The power goes, at moments that a seed chooses, during updates and during printing. */
import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "@platen/hw/link";
import { Failed } from "../failed.ts";
import type { Stand } from "../stand.ts";
import type { Notes, Scenario } from "./scenario.ts";
import { UpdatePhase } from "@platen/proto";
import { rollOut, withdraw } from "./updates.ts";

/** Steps of an update that something is written in; the cut comes up to so long after one begins, milliseconds. */
const steps = [UpdatePhase.DOWNLOADING, UpdatePhase.VERIFYING, UpdatePhase.TRYING];
const stepMs = 20_000;
const sheets = 2;

async function duringUpdate(stand: Stand, notes: Notes, moment: number, count: number): Promise<void> {
  const step = steps[count % steps.length]!;
  const before = await stand.version();
  const version = stand.nextVersion();
  await rollOut(stand, version, await stand.releases.make(version));
  try {
    await cutInStep(stand, notes, { step, moment, before, version });
    await stand.running(version);
    notes.saw(`${version} was taken by itself in the end`);
  } finally {
    await withdraw(stand, version);
  }
}

interface Cut {
  readonly step: UpdatePhase;
  readonly moment: number;
  readonly before: string;
  readonly version: string;
}

async function cutInStep(stand: Stand, notes: Notes, { step, moment, before, version }: Cut): Promise<void> {
  await stand.seen(`on its way to ${version}`, ({ update }) => {
    const isThere = update?.targetVersion === version && update.phase >= step;
    return isThere || update?.version === version ? true : undefined;
  });
  const cutMs = Math.round(moment * stepMs);
  await delay(cutMs, undefined, { signal: stand.signal });
  await stand.cutPower();
  await stand.powerOn();
  await stand.ready();
  const after = await stand.version();
  if (after !== before && after !== version) {
    throw new Failed(`${after} runs, which is neither ${before} nor ${version}`);
  }
  await stand.print(1);
  const when = `${(cutMs / 1000).toFixed(1)} s after ${phaseName(step)} ${version} began`;
  notes.saw(`cut ${when}: it came back on ${after}, and prints`);
}

const phaseName = (phase: UpdatePhase): string =>
  (Object.entries(UpdatePhase).find(([, value]) => value === phase)?.[0] ?? String(phase)).toLowerCase();

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

const cutOften = (
  { seed, cuts }: PowerCuts,
  cut: (stand: Stand, notes: Notes, moment: number, count: number) => Promise<void>,
): Scenario["run"] =>
  async function (stand, notes) {
    const random = seededRandom(seed);
    for (let count = 0; count < cuts; count++) {
      await stand.readyBoard();
      await cut(stand, notes, random(), seed + count);
    }
  };

export interface PowerCuts {
  /** Of the moments, and of the step of an update to begin with. */
  readonly seed: number;
  /** How often, in each scenario. */
  readonly cuts: number;
}

export const power = (options: PowerCuts): readonly Scenario[] => [
  {
    name: "power-update",
    title:
      "the power is cut in the steps of an update: the board comes back on one of the two versions, and prints",
    run: cutOften(options, duringUpdate),
  },
  {
    name: "power-print",
    title: "the power is cut in the middle of a sheet: the job goes on by itself, and no sheet comes twice",
    run: cutOften(options, duringPrinting),
  },
];
