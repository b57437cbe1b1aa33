/** Updates that the backend rolls out: good ones, and all the kinds of bad ones. */
import { generateKeyPairSync } from "node:crypto";
import { open, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { UpdatePhase } from "@platen/proto";
import { Failed } from "../failed.ts";
import { type Stand } from "../stand.ts";
import type { Notes, Scenario } from "./scenario.ts";

/** Adds a bundle and offers it to all boards. */
export async function rollOut(stand: Stand, version: string, bundle: string): Promise<void> {
  await stand.backend.platen("updates", "add", bundle);
  await stand.backend.platen("updates", "rollout", version, "--percent", "100");
}

/** Offers it no longer: the boards of other scenarios have nothing to do with it. */
export async function withdraw(stand: Stand, version: string): Promise<void> {
  await stand.backend.platen("updates", "rollout", version, "--stop");
}

export const update: Scenario = {
  name: "update",
  title: "a new version is rolled out, tried, found healthy, and stays",
  async run(stand, notes) {
    await stand.readyBoard();
    const version = stand.nextVersion();
    const bundle = await stand.releases.make(version);
    notes.figure("app bundle as sent, MiB", ((await stand.releases.originalBytes()) / 2 ** 20).toFixed(1));
    const beganMs = performance.now();
    await rollOut(stand, version, bundle);
    try {
      await stand.running(version);
    } finally {
      await withdraw(stand, version);
    }
    notes.figure("rollout to healthy, s", Math.round((performance.now() - beganMs) / 1000));
    const { stdout } = await stand.backend.platen("printers");
    if (!stdout.includes(version)) throw new Failed(`platen printers does not show ${version}:\n${stdout}`);
    notes.saw(`platen printers shows ${version}`);
    await stand.ready();
    await stand.print(1);
    notes.saw("a job prints on it");
    const linked = await stand.root("readlink /data/platen/current");
    const other = await stand.root("ls /data/platen/slots");
    notes.saw(`current is ${linked}; in slots: ${other.replaceAll(/\s+/g, " ")}`);
  },
};

interface BadUpdate {
  readonly name: string;
  readonly what: string;
  /** Makes the bundle, adds it, rolls it out. */
  readonly offer: (stand: Stand, version: string) => Promise<Mend | undefined>;
  /** What platen printers must say of it; undefined: nothing may ever come of it. */
  readonly told: RegExp | undefined;
}

/** Takes away what was in an update's way: then the board takes it by itself. */
type Mend = () => Promise<void>;

const withMain =
  (text: string) =>
  async (stand: Stand, version: string): Promise<undefined> => {
    const change = (folder: string) => writeFile(join(folder, "main.js"), text);
    await rollOut(stand, version, await stand.releases.make(version, { change }));
  };

/** The stored bundle changes behind the backend's back, before it is offered. */
async function tamper(stand: Stand, version: string, harm: (file: string) => Promise<void>): Promise<string> {
  const bundle = await stand.releases.make(version);
  await stand.backend.platen("updates", "add", bundle);
  const stored = await storedBundle(stand, bundle);
  await harm(stored);
  await stand.backend.platen("updates", "rollout", version, "--percent", "100");
  return stored;
}

/** The backend's own copy of a bundle. */
async function storedBundle(stand: Stand, bundle: string): Promise<string> {
  const wanted = await readFile(bundle);
  for (const file of await stand.backend.files()) {
    if ((await stat(file)).size === wanted.length && wanted.equals(await readFile(file))) return file;
  }
  throw new Failed("the backend keeps no copy of the bundle");
}

async function flipBit(file: string): Promise<void> {
  await using handle = await open(file, "r+");
  const at = Math.floor((await handle.stat()).size / 2);
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
  buffer[0]! ^= 1;
  await handle.write(buffer, 0, 1, at);
}

const filler = "/data/filler";

const badUpdates: readonly BadUpdate[] = [
  {
    name: "bad-crash",
    what: "one that ends at its start",
    offer: withMain("process.exit(3);\n"),
    told: /ended with code 3/,
  },
  { name: "bad-hang", what: "one that hangs", offer: withMain("for (;;);\n"), told: /hung|not healthy/ },
  {
    name: "bad-signature",
    what: "one that somebody else signed",
    offer: async (stand, version) => {
      const key = generateKeyPairSync("ed25519").privateKey;
      await rollOut(stand, version, await stand.releases.make(version, { key }));
      return undefined;
    },
    told: /signature/,
  },
  {
    name: "bad-bit",
    what: "one with a bit that flipped on the way",
    offer: async (stand, version) => {
      const stored = await tamper(stand, version, flipBit);
      return () => flipBit(stored);
    },
    told: /damaged/,
  },
  {
    name: "bad-end",
    what: "one that is cut short on the way",
    offer: async (stand, version) => {
      await tamper(stand, version, async (file) => truncate(file, (await stat(file)).size - 4096));
      return undefined;
    },
    told: undefined,
  },
  {
    name: "bad-space",
    what: "one for which the card has no space",
    offer: async (stand, version) => {
      // The updater would give back what lies there of other bundles, and have its space.
      await stand.root("rm -f /data/platen/downloads/*");
      const free = Number(await stand.root("echo $(df --output=avail -k /data | tail -n 1 | tr -dc 0-9)"));
      await stand.root(`fallocate -l ${free - 4096}K ${filler}; sync`);
      await rollOut(stand, version, await stand.releases.make(version));
      return async () => void (await stand.root(`rm -f ${filler}; sync`));
    },
    told: /space/,
  },
];

/** How long a board is watched that must not do something. */
const watchMs = 30_000;

async function survive(stand: Stand, notes: Notes, bad: BadUpdate): Promise<void> {
  const before = await stand.version();
  const version = stand.nextVersion();
  const beganMs = performance.now();
  try {
    const mend = await bad.offer(stand, version);
    const { told } = bad;
    if (told) {
      const message = await stand.seen(`refusing ${version}`, ({ update: now }) => {
        const isOver = now?.phase === UpdatePhase.ROLLED_BACK || now?.phase === UpdatePhase.REFUSED;
        return isOver && now.targetVersion === version ? now.message : undefined;
      });
      if (!told.test(message)) throw new Failed(`of ${bad.what}, platen printers says: ${message}`);
      const tookS = Math.round((performance.now() - beganMs) / 1000);
      notes.saw(`platen printers says "${message}", after ${tookS} s`);
    } else {
      await stand.seen(
        `asked to take ${version}`,
        ({ update: now }) => now?.targetVersion === version || undefined,
      );
      await delay(watchMs, undefined, { signal: stand.signal });
    }
    await stand.ready();
    const now = await stand.version();
    if (now !== before) throw new Failed(`after ${bad.what}, ${now} runs and not ${before}`);
    await stand.print(1);
    notes.saw(`${before} goes on, and a job prints`);
    if (!mend) return;
    await mend();
    await stand.running(version);
    notes.saw(`what was in its way is gone: ${version} was taken by itself, and runs`);
  } finally {
    await withdraw(stand, version);
  }
}

export const badUpdateScenarios: readonly Scenario[] = badUpdates.map((bad) => ({
  name: bad.name,
  title: `an update is rolled out, ${bad.what}: the version before goes on`,
  async run(stand, notes) {
    await stand.readyBoard();
    await survive(stand, notes, bad);
  },
}));
