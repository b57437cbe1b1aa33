/** From a card as it was written to a printer that the backend shows, and a first job. */
import { open } from "node:fs/promises";
import { partitions } from "../../../hw/flash/src/card.ts";
import { textInBoot } from "../../../hw/flash/src/fat.ts";
import { enrolmentKey } from "../backend.ts";
import { Failed } from "../failed.ts";
import { type Stand } from "../stand.ts";
import type { Notes, Scenario } from "./scenario.ts";

const service = "platen.service";
const group = `/sys/fs/cgroup/system.slice/${service}`;
/** Where the partition with the settings ends on the card. */
const bootEndBytes = partitions[1]!.startBytes;

export const start: Scenario = {
  name: "start",
  title: "a new card starts, provisions itself, registers, and is ready",
  async run(stand, notes) {
    await stand.newCard();
    await stand.powerOn();
    notes.figure("boot to ready, s", Math.round(await stand.ready()));
    notes.saw("platen printers shows it idle");

    if ((await textInBoot(stand.card, "platen.toml")) !== undefined)
      throw new Failed("platen.toml is still there");
    if (!(await textInBoot(stand.card, "platen-taken.toml"))?.includes("emulated")) {
      throw new Failed("platen-taken.toml does not say what was taken over");
    }
    if (await bootHolds(stand.card, enrolmentKey))
      throw new Failed("the enrolment key is still on the boot partition");
    notes.saw("platen.toml was taken over, and no byte of its secret is left on the boot partition");

    const failed = await stand.root("systemctl list-units --failed --no-legend --plain");
    if (failed !== "") throw new Failed(`units failed: ${failed}`);
    notes.saw("no unit failed");
    const dataMib = Number(await stand.root("echo $(df --output=size -BM /data | tail -n 1 | tr -dc 0-9)"));
    if (!(dataMib > 800)) throw new Failed(`the data partition did not grow: ${dataMib} MiB`);
    notes.saw(`the data partition has grown to the end of the card: ${dataMib} MiB`);
    if (await stand.root("touch /usr/x /etc/x /usr/lib/platen/x 2>/dev/null && echo written")) {
      throw new Failed("the root can be written to");
    }
    notes.saw("root itself cannot write to the system");
    await security(stand, notes);
  },
};

async function security(stand: Stand, notes: Notes): Promise<void> {
  const said = await stand.root(`systemd-analyze security ${service} --no-pager 2>/dev/null | tail -n 1`);
  const [, level] = /exposure level for platen\.service: ([0-9.]+)/.exec(said) ?? [];
  if (level === undefined || Number(level) > 3) throw new Failed(`systemd-analyze security: ${said}`);
  notes.figure("systemd-analyze security, 0 best, 10 worst", Number(level));
  notes.figure(
    "systemd-analyze time",
    (await stand.root("systemd-analyze time --no-pager")).split("\n")[0] ?? "",
  );
}

/** What the service has needed at most so far. */
async function memory(stand: Stand, notes: Notes): Promise<void> {
  const peak = Number(await stand.root(`cat ${group}/memory.peak`));
  notes.figure("memory of the unit at its peak, MiB", Math.round(peak / 2 ** 20));
  const ofEach = async (command: string, field: RegExp): Promise<string> => {
    const said = await stand.root(`for p in $(cat ${group}/cgroup.procs); do ${command}; done`);
    return [...said.matchAll(field)].map(([, kib]) => Math.round(Number(kib) / 1024)).join(" + ");
  };
  notes.figure(
    "VmHWM of its processes, MiB",
    await ofEach("grep VmHWM /proc/$p/status", /VmHWM:\s*(\d+) kB/g),
  );
  // What two processes share is counted once.
  notes.figure(
    "PSS of its processes now, MiB",
    await ofEach("grep ^Pss: /proc/$p/smaps_rollup", /Pss:\s*(\d+) kB/g),
  );
}

export const print: Scenario = {
  name: "print",
  title: "a job prints, dot for dot as on this machine",
  async run(stand, notes) {
    await stand.readyBoard();
    const { tookS } = await stand.print(3);
    notes.saw("three sheets, every bit of every plane as platen-printer prints it here");
    notes.figure("three A6 sheets at 300 dpi, s", Math.round(tookS));
    await memory(stand, notes);
  },
};

/** Whether the bytes lie anywhere on the boot partition, deleted files included. */
async function bootHolds(card: string, text: string): Promise<boolean> {
  await using file = await open(card);
  const { buffer } = await file.read(Buffer.alloc(bootEndBytes), 0, bootEndBytes, 0);
  return buffer.includes(text);
}
