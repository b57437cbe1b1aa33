/** Systems that the backend rolls out: a good one, those that do not start, and power cuts on the way. */
import { appendFile, chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "@platen/hw/link";
import { type RegisteredPrinter, UpdatePhase } from "@platen/proto";
import { missingFile, statusFile, systemFolder } from "@platen/firmware-node/updates";
import { systemBoardName } from "../../../hw/flash/src/bundle.ts";
import { run } from "../../../hw/flash/src/command.ts";
import { cpio } from "../../../hw/flash/src/cpio.ts";
import { rootFile, slotFiles } from "../../../hw/flash/src/system/slot.ts";
import { Failed } from "../failed.ts";
import { type Stand, systemPatienceMs } from "../stand.ts";
import type { PowerCuts } from "./power.ts";
import type { Notes, Scenario } from "./scenario.ts";

const onBoard = ["--board", systemBoardName];

async function rollOut(stand: Stand, version: string, bundle: string): Promise<void> {
  await stand.backend.platen("updates", "add", bundle);
  await rm(bundle);
  await stand.backend.platen("updates", "rollout", version, ...onBoard, "--percent", "100");
}

const withdraw = (stand: Stand, version: string) =>
  stand.backend.platen("updates", "rollout", version, ...onBoard, "--stop");

/** The slot that the board says it runs from. */
async function slotOf(stand: Stand): Promise<string> {
  const [, slot] = /platen\.slot=([ab])/.exec(await stand.root("cat /proc/cmdline")) ?? [];
  if (!slot) throw new Failed("the kernel was started without a slot");
  return slot;
}

/** What U-Boot says. */
const trialBegins = /^platen: starting slot [ab] platen\.trial/;

const timer = (stand: Stand) => stand.root("systemctl is-active platen-trial.timer");

export const systemUpdate: Scenario = {
  name: "system-update",
  title: "a new system is rolled out, written to the other slot, tried, found healthy, and stays",
  async run(stand, notes) {
    await stand.readyBoard();
    const systems = await stand.systems();
    const [before, slotBefore] = [await stand.systemVersion(), await slotOf(stand)];
    const version = stand.nextVersion();
    notes.figure("system bundle as sent, MiB", Math.round((await systems.originalBytes()) / 2 ** 20));
    const from = stand.board.console.length;
    await rollOut(stand, version, await systems.make(version));
    const beganMs = performance.now();
    try {
      await stand.board.line(trialBegins, { from, signal: stand.signal });
      stand.restarted();
      // Its shell is there long before the printer is.
      if ((await timer(stand)) !== "active") throw new Failed("the time of the trial is not counted");
      await stand.systemRunning(version);
    } finally {
      await withdraw(stand, version);
    }
    notes.figure("rollout to healthy, s", Math.round((performance.now() - beganMs) / 1000));
    const { stdout } = await stand.backend.platen("printers");
    if (!stdout.includes(`system ${version}`))
      throw new Failed(`platen printers does not show ${version}:\n${stdout}`);
    notes.saw(`platen printers shows system ${version}, and ${before} before`);
    await stand.ready();
    await stand.print(1);
    const slot = await slotOf(stand);
    if (slot === slotBefore) throw new Failed(`slot ${slot} runs, as before`);
    notes.saw(`it runs from slot ${slot}, and a job prints on it`);
    const failed = await stand.root("systemctl list-units --failed --no-legend --plain");
    if (failed !== "") throw new Failed(`units failed: ${failed}`);
    if ((await timer(stand)) !== "inactive") throw new Failed("the time of the trial goes on");
    notes.saw("the trial's time was counted until it was kept, and no unit failed");
    await stand.cutPower();
    await stand.powerOn();
    await stand.ready();
    await stand.systemRunning(version);
    if ((await slotOf(stand)) !== slot) throw new Failed("after a power cut the slot before runs");
    notes.saw("it is what starts after a power cut");
  },
};

export const systemSick: Scenario = {
  name: "system-sick",
  title:
    "a new system cannot reach the engine in its time: the one before is back; with the engine there, it is taken after all",
  async run(stand, notes) {
    await stand.readyBoard();
    const before = await stand.systemVersion();
    const version = stand.nextVersion();
    const from = stand.board.console.length;
    await rollOut(stand, version, await (await stand.systems()).make(version));
    try {
      await stand.board.line(trialBegins, { from, signal: stand.signal });
      await stand.board.unplug();
      stand.restarted();
      await stand.root(`until grep -qx '\\["engine"\\]' ${systemFolder}/${missingFile}; do sleep 1; done`);
      notes.saw("all is there but the engine");
      // What the timer does when the time is over: nobody waits for that here.
      await stand.root("systemctl --no-block start platen-trial.service");
      // It is not to blame: it is taken up again at once, and waits for the engine.
      const isBack = ({ system }: RegisteredPrinter) =>
        system?.version === before && system.phase === UpdatePhase.WAITING ? true : undefined;
      await stand.seen(`back on system ${before}, and waiting`, isBack, systemPatienceMs);
      stand.restarted();
      const said = await stand.root(`cat ${systemFolder}/${statusFile}`);
      const reason = `system ${version} was not healthy in time: no engine`;
      if (!said.includes(reason)) throw new Failed(`of the trial the board says: ${said}`);
      notes.saw(`"${reason}": ${before} is back, and waits for the engine`);
      await stand.board.plug();
      await stand.systemRunning(version);
      await stand.ready();
      await stand.print(1);
      notes.saw(`with the engine there ${version} was taken by itself, and prints`);
    } finally {
      await withdraw(stand, version);
    }
  },
};

interface BadSystem {
  readonly name: string;
  readonly what: string;
  readonly change: (folder: string) => Promise<void>;
  /** It would hang for ever but for the board's watchdog. */
  readonly watchdog?: boolean;
}

/** So small that it takes no time to be sent. */
const noRoot = (folder: string) => writeFile(join(folder, rootFile), Buffer.alloc(4096, "no squashfs"));

/** The kernel unpacks what follows over what came before. */
const withInit = async (folder: string, text: string) => {
  const first = join(folder, slotFiles.firstRoot);
  await appendFile(first, Buffer.alloc(-(await readFile(first)).length & 3));
  await appendFile(first, cpio([{ path: "init", kind: "file", mode: 0o755, data: Buffer.from(text) }]));
};

/** A root whose first program does nothing, for ever. */
async function hangingRoot(folder: string): Promise<void> {
  const [root, tree] = [join(folder, rootFile), join(folder, "tree")];
  await run("unsquashfs", ["-n", "-q", "-d", tree, root, "usr/bin/busybox"]);
  for (const name of ["dev", "proc", "sys", "sbin"]) await mkdir(join(tree, name));
  const init = "#!/usr/bin/busybox sh\nwhile :; do /usr/bin/busybox sleep 1000; done\n";
  await writeFile(join(tree, "sbin/init"), init);
  await chmod(join(tree, "sbin/init"), 0o755);
  await run("mksquashfs", [tree, root, "-noappend", "-quiet", "-no-progress"]);
  await rm(tree, { recursive: true });
}

const badSystems: readonly BadSystem[] = [
  { name: "system-no-root", what: "one whose root cannot be read", change: noRoot },
  {
    name: "system-panic",
    what: "one whose kernel panics",
    change: async (folder) => {
      await noRoot(folder);
      await withInit(folder, "#!/bin/busybox sh\nexit 1\n");
    },
  },
  {
    name: "system-hang",
    what: "one that hangs before systemd runs",
    change: hangingRoot,
    watchdog: true,
  },
];

async function survive(stand: Stand, notes: Notes, { change, watchdog = false }: BadSystem): Promise<void> {
  if (watchdog) {
    if (!stand.hasCard) await stand.newCard();
    await stand.powerOn({ watchdog });
  }
  await stand.readyBoard();
  const [before, slot] = [await stand.systemVersion(), await slotOf(stand)];
  const version = stand.nextVersion();
  const from = stand.board.console.length;
  await rollOut(stand, version, await (await stand.systems()).make(version, { change }));
  const beganMs = performance.now();
  try {
    const tries = () => stand.board.console.slice(from).filter((line) => trialBegins.test(line)).length;
    const message = await stand.systemGivenUp(version);
    const isOver = ({ system }: RegisteredPrinter) =>
      tries() >= 2 && system?.phase === UpdatePhase.ROLLED_BACK ? true : undefined;
    await stand.seen(`giving system ${version} up for good`, isOver, systemPatienceMs);
    const tookS = Math.round((performance.now() - beganMs) / 1000);
    notes.saw(`platen printers says "${message}", after ${tries()} trials and ${tookS} s`);
    await stand.ready();
    const now = await stand.systemVersion();
    if (now !== before || (await slotOf(stand)) !== slot)
      throw new Failed(`${now} runs from slot ${await slotOf(stand)}, and not ${before} from ${slot}`);
    await stand.print(1);
    notes.saw(`${before} goes on, and a job prints`);
  } finally {
    await withdraw(stand, version);
  }
  if (watchdog) await stand.cutPower();
}

export const badSystemScenarios: readonly Scenario[] = badSystems.map((bad) => ({
  name: bad.name,
  title: `a system is rolled out, ${bad.what}: the board comes back on the one before by itself`,
  run: (stand, notes) => survive(stand, notes, bad),
}));

/** What is done while the power goes, and for how long at most, milliseconds. */
const steps = [
  { phase: UpdatePhase.INSTALLING, called: "writing", lengthMs: 30_000 },
  { phase: UpdatePhase.TRYING, called: "trying", lengthMs: 75_000 },
] as const;

async function cutOnce(stand: Stand, notes: Notes, moment: number, count: number): Promise<void> {
  const { phase, called, lengthMs } = steps[count % steps.length]!;
  const before = await stand.systemVersion();
  const version = stand.nextVersion();
  await rollOut(stand, version, await (await stand.systems()).make(version));
  try {
    const isThere = ({ system }: RegisteredPrinter) =>
      (system?.targetVersion === version && system.phase >= phase) || system?.version === version
        ? true
        : undefined;
    await stand.seen(`on its way to system ${version}`, isThere, systemPatienceMs);
    const cutMs = Math.round(moment * lengthMs);
    await delay(cutMs, undefined, { signal: stand.signal });
    await stand.cutPower();
    await stand.powerOn();
    await stand.ready();
    const after = await stand.systemVersion();
    if (after !== before && after !== version)
      throw new Failed(`${after} runs, which is neither ${before} nor ${version}`);
    notes.saw(`cut ${(cutMs / 1000).toFixed(1)} s after ${called} began: it came back on ${after}`);
    await stand.systemRunning(version);
    await stand.ready();
    await stand.print(1);
    notes.saw(`${version} was taken by itself in the end, and prints`);
  } finally {
    await withdraw(stand, version);
  }
}

export const systemPower = ({ seed, cuts }: PowerCuts): Scenario => ({
  name: "system-power",
  title:
    "the power is cut while a system is written and tried: the board comes back on one of the two, and has the new one in the end",
  async run(stand, notes) {
    const random = seededRandom(seed);
    for (let count = 0; count < cuts; count++) {
      await stand.readyBoard();
      await cutOnce(stand, notes, random(), seed + count);
    }
  },
});
