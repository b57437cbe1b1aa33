/** The `platen-flash` command: builds, writes, provisions and emulates controllers' cards. */
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { PlatenError, toPlatenError } from "@platen/proto";
import { Command, CommanderError, Option } from "commander";
import { buildBundle, buildImage, repository, systemEpochS } from "./build.ts";
import { cardBytes } from "./card.ts";
import { compareBuilds } from "./compare.ts";
import { type Disk, listDisks, requireWritable, targetOf } from "./devices.ts";
import { EmulatedBoard } from "./emulate.ts";
import { type Mirrors, ownMirrors, snapshotMirrors } from "./mirrors.ts";
import { provision } from "./provision.ts";
import { type StepEvent, stepsIn } from "./steps.ts";
import { imageBytes, writeTo, type WriteProgress } from "./write.ts";

const exitCodes = { done: 0, refused: 2, failed: 4, interrupted: 130 } as const;

const say = (line: string): void => void process.stderr.write(`platen-flash: ${line}\n`);

const units = ["B", "kB", "MB", "GB", "TB"];
const readable = (bytes: number): string => {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${(bytes / 1000 ** power).toFixed(power > 0 ? 1 : 0)} ${units[power]}`;
};
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** What keeps somebody waiting who may think that nothing happens. */
const lengthy: Readonly<Record<string, string>> = {
  npm: "fetching the app's packages",
  runtime: "fetching Node for the board",
  "runtime-bundle": "compressing Node for updates; takes half a minute, once for each version of Node",
  app: "putting the app together, and compressing it",
  base: "unpacking Debian's packages; takes minutes, once for each debian.lock",
  "base-new": "unpacking Debian's newest packages; takes minutes",
  image: "putting the card together, and compressing it",
};

/** A step of a build as one line for people. */
export function lineOfStep(event: StepEvent): string {
  switch (event.kind) {
    case "kept":
      return `${event.step}: nothing changed`;
    case "begins":
      return `${event.step}: ${lengthy[event.step] ?? "at work"} …`;
    case "done":
      return `${event.step}: ${seconds(event.tookMs)}`;
  }
}

/** Where builds keep their steps. */
export const defaultCache = (): string =>
  join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "platen-flash");

interface BuildFlags {
  out: string;
  cache: string;
  mirror?: string;
  securityMirror?: string;
  snapshot?: boolean;
  updateLock?: boolean;
  key?: string;
  keySet?: string;
  channel: string;
  bundleOnly?: boolean;
  verbose?: boolean;
}

async function mirrorsFor(
  { mirror, securityMirror, snapshot }: BuildFlags,
  signal: AbortSignal,
): Promise<Mirrors> {
  if (snapshot) return snapshotMirrors(await systemEpochS());
  const own = await ownMirrors(signal);
  const plain = (url: string) => url.replace(/\/+$/, "");
  return { ...own, archive: plain(mirror ?? own.archive), security: plain(securityMirror ?? own.security) };
}

async function build(flags: BuildFlags, signal: AbortSignal): Promise<void> {
  const startMs = performance.now();
  // Modes of what is made go into the image: they must not be those of who builds.
  process.umask(0o022);
  const options = {
    steps: stepsIn(resolve(flags.cache), (event) => say(lineOfStep(event))),
    out: resolve(flags.out),
    cache: resolve(flags.cache),
    mirrors: await mirrorsFor(flags, signal),
    updateLock: flags.updateLock ?? false,
    channel: flags.channel,
    key: flags.key,
    keySet: flags.keySet,
    signal,
    onLine: flags.verbose ? say : undefined,
  };
  const made = await (flags.bundleOnly ? buildBundle(options) : buildImage(options));
  for (const file of made) {
    const { size, blocks } = await stat(file);
    say(
      `${file}: ${readable(size)}${blocks * 512 < size * 0.9 ? `, ${readable(blocks * 512)} on disk` : ""}`,
    );
  }
  say(`done in ${seconds(performance.now() - startMs)}`);
}

async function compare(a: string, b: string, signal: AbortSignal): Promise<void> {
  if (!(await compareBuilds(resolve(a), resolve(b), say, signal))) {
    throw new PlatenError("internal", "the builds differ");
  }
}

const describe = ({ path, sizeBytes, model, transport, refusals }: Disk): string => {
  const what = [readable(sizeBytes), transport, model].filter(Boolean).join(", ");
  return `${path}  ${what}${refusals.length > 0 ? `\n    not to be written: ${refusals.map(({ message }) => message).join("; ")}` : ""}`;
};

async function devices(flags: { all?: boolean }, signal: AbortSignal): Promise<void> {
  const disks = (await listDisks(cardBytes, signal)).filter(({ removable }) => removable || flags.all);
  process.stdout.write(disks.map((disk) => `${describe(disk)}\n`).join(""));
  if (disks.length === 0) say("there is no removable disk; put a card in (--all lists fixed disks too)");
}

/** Draws a line again and again on a terminal; elsewhere says a tenth at a time. */
function progressLine(): (progress: WriteProgress) => void {
  let [phase, startMs, startBytes, shown] = ["", 0, 0, -1];
  return (progress) => {
    const { doneBytes, totalBytes } = progress;
    if (progress.phase !== phase)
      [phase, startMs, startBytes, shown] = [progress.phase, performance.now(), doneBytes, -1];
    const rate = ((doneBytes - startBytes) * 1000) / Math.max(1, performance.now() - startMs);
    const leftS = rate > 0 ? Math.ceil((totalBytes - doneBytes) / rate) : 0;
    const percent = Math.floor((100 * doneBytes) / Math.max(1, totalBytes));
    const line = `${phase} ${percent} %  ${readable(doneBytes)} of ${readable(totalBytes)}  ${readable(rate)}/s  ${leftS} s left`;
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}${doneBytes >= totalBytes ? "\n" : ""}`);
    else if (Math.floor(percent / 10) > shown) {
      shown = Math.floor(percent / 10);
      say(line);
    }
  };
}

interface WriteFlags {
  yes?: boolean;
  dryRun?: boolean;
  forceFixed?: boolean;
  provision?: string;
}

async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new PlatenError(
      "invalid-argument",
      "there is nobody to ask: add --yes to write without a question",
    );
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(`${question} Type yes: `, { signal })).trim() === "yes";
  } finally {
    terminal.close();
  }
}

async function write(image: string, target: string, flags: WriteFlags, signal: AbortSignal): Promise<void> {
  // Looked into before anything is written, so that a mistake in it costs nothing.
  if (flags.provision !== undefined) await provision(undefined, flags.provision);
  const totalBytes = await imageBytes(image, signal);
  const { path: to, isDevice } = await targetOf(target);
  if (isDevice) {
    const disk = requireWritable(
      await listDisks(totalBytes, signal),
      to,
      flags.forceFixed === true && flags.yes === true,
    );
    say(`everything on ${describe(disk)} will be lost`);
    if (flags.dryRun) return say("nothing was written: this was a dry run");
    if (!flags.yes && !(await confirm(`Write ${readable(totalBytes)} to ${to}?`, signal)))
      return say("nothing was written");
  } else if (flags.dryRun)
    return say(`would write ${readable(totalBytes)} to the file ${to}; this was a dry run`);
  const sha256 = await writeTo({ image, to, totalBytes, onProgress: progressLine(), signal });
  say(`written and read back, SHA-256 ${sha256}`);
  if (flags.provision !== undefined) await provision(to, flags.provision, say);
}

interface EmulateFlags {
  engine?: string;
  memory: string;
  cpus: string;
  log?: string;
  shell?: boolean;
  throwAway?: boolean;
}

async function emulate(image: string, flags: EmulateFlags, signal: AbortSignal): Promise<void> {
  await using board = await EmulatedBoard.start({
    image: resolve(image),
    engineSocket: flags.engine,
    memoryMib: Number(flags.memory),
    cpus: Number(flags.cpus),
    log: flags.log,
    shell: flags.shell ?? false,
    throwAway: flags.throwAway ?? false,
    onLine: (line) => void process.stdout.write(`${line}\n`),
    signal,
  });
  if (flags.shell) process.stdin.on("data", (text: Buffer) => board.type(text.toString().trimEnd()));
  const stop = new Promise<void>((done) => signal.addEventListener("abort", () => done(), { once: true }));
  await Promise.race([board.ended, stop]);
  process.stdin.destroy();
}

const examples = `
Examples:
  sudo platen-flash build                            out/platen-arm64.img, and the app's bundle for updates
  platen-flash provision out/platen-arm64.img --file platen.toml
  platen-flash devices
  sudo platen-flash write out/platen-arm64.img /dev/sdX
  platen-flash emulate out/platen-arm64.img          the same without a board

Exit codes: 0 done, 2 refused or wrong usage, 4 failed, 130 stopped by Ctrl-C.`;

/** Runs the command. Resolves to its exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const stop = new AbortController();
  const interrupt = () => {
    if (stop.signal.aborted) process.exit(exitCodes.interrupted);
    stop.abort();
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  const { signal } = stop;

  const program = new Command("platen-flash")
    .description("Makes the memory card of a Platen controller: app, system, settings.")
    .addHelpText("after", examples)
    .exitOverride();
  program
    .command("build")
    .description("build the card's image, and the bundle that updates boards to this app (needs root)")
    .option("--out <dir>", "where they come to", join(repository, "out"))
    .option("--cache <dir>", "where steps are kept that need not be done again", defaultCache())
    .option(
      "--mirror <url>",
      "where Debian's packages come from; default: as this machine's apt, else Debian's own",
    )
    .option("--security-mirror <url>", "the same for those of debian-security")
    .addOption(
      new Option(
        "--snapshot",
        "packages as they were when board/debian.lock was made, from snapshot.debian.org",
      ).conflicts(["mirror", "securityMirror", "updateLock"]),
    )
    .option("--update-lock", "take the newest packages, and write their versions to board/debian.lock")
    .option("--key <file>", "release key that signs the bundle, PEM; default: one made for this machine")
    .option("--key-set <file>", "key set that boards are to trust; needed with --key")
    .option("--channel <name>", "update channel of the bundle", "stable")
    .option("--bundle-only", "no image: needs no root and nothing of Debian's")
    .option("--verbose", "show what the tools say")
    .action((flags: BuildFlags) => build(flags, signal));
  program
    .command("compare")
    .description("say whether two builds are the same bytes, and where they are not")
    .argument("<a>", "folder that a build came to, or one file of it")
    .argument("<b>", "the other")
    .action((a: string, b: string) => compare(a, b, signal));
  program
    .command("devices")
    .description("list removable disks")
    .option("--all", "fixed ones too")
    .action((flags: { all?: boolean }) => devices(flags, signal));
  program
    .command("write")
    .description("write an image (.img, .img.zst, .img.xz) to a card or a file, and read it back")
    .argument("<image>")
    .argument("<device>")
    .option("--yes", "do not ask")
    .option("--dry-run", "say what would be done")
    .option("--force-fixed", "together with --yes: write to a disk that is not removable too")
    .option("--provision <file>", "put this platen.toml onto it afterwards")
    .action((image: string, device: string, flags: WriteFlags) => write(image, device, flags, signal));
  program
    .command("provision")
    .description("check a platen.toml and put it onto an image, a card or a mounted boot partition")
    .argument("[target]", "image, device or folder; without it the file is only checked")
    .requiredOption("--file <file>", "platen.toml")
    .action((target: string | undefined, { file }: { file: string }) => provision(target, file, say));
  program
    .command("emulate")
    .description("start an image in QEMU; Ctrl-C cuts the power. The host is 10.0.2.2 in there")
    .argument("<image>")
    .option("--engine <socket>", "Unix socket that an engine listens on: it is put in as /dev/ttyUSB0")
    .option("--memory <MiB>", "memory of the board", "512")
    .option("--cpus <n>", "processors of the board", "2")
    .option("--log <file>", "keep what the console says")
    .option("--shell", "a root shell on the console")
    .option("--throw-away", "forget what is written to the card")
    .action((image: string, flags: EmulateFlags) => emulate(image, flags, signal));
  try {
    await program.parseAsync(argv, { from: "user" });
    return exitCodes.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.refused;
    if (signal.aborted) {
      say("stopped");
      return exitCodes.interrupted;
    }
    const { code, message } = toPlatenError(error);
    for (const line of message.split("\n")) say(line);
    return code === "invalid-argument" || code === "configuration" ? exitCodes.refused : exitCodes.failed;
  }
}
