#!/usr/bin/env node
/** `npm run board`: the card's image on an emulated board, end to end. Takes minutes; root is needed only to build an image. */
import { execFile } from "node:child_process";
import { glob, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { decodeHead } from "@platen/proto/bundle";
import { defaultCache } from "../../hw/flash/src/cli.ts";
import { emulatedUBoot, requirePrograms } from "../../hw/flash/src/command.ts";
import { keysFolder } from "../../hw/flash/src/signing.ts";
import { Command, InvalidArgumentError, Option } from "commander";
import { type MachineKind, machines, programsOf } from "./machines.ts";
import { asText, type BoardReport, passed, type ScenarioReport } from "./report.ts";
import { repository, runProgram } from "./processes.ts";
import { clock } from "./scenarios/clock.ts";
import { damage } from "./scenarios/damage.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { power, type PowerCuts } from "./scenarios/power.ts";
import { settings } from "./scenarios/settings.ts";
import { print, start } from "./scenarios/start.ts";
import { plugLate, unplug } from "./scenarios/unplug.ts";
import { badSystemScenarios, systemPower, systemSick, systemUpdate } from "./scenarios/system.ts";
import { badUpdateScenarios, update } from "./scenarios/updates.ts";
import { Failed } from "./failed.ts";
import { Stand } from "./stand.ts";

interface Options {
  readonly image?: string;
  readonly key?: string;
  readonly only?: string[];
  readonly engine: MachineKind;
  readonly out: string;
  readonly seed: number;
  readonly cuts: number;
}

const scenariosFor = (cuts: PowerCuts): readonly Scenario[] => [
  start,
  print,
  unplug,
  plugLate,
  update,
  ...badUpdateScenarios,
  ...power(cuts),
  damage,
  clock,
  settings,
  systemUpdate,
  ...badSystemScenarios,
  systemSick,
  systemPower(cuts),
];
const [seedDefault, cutsDefault] = [1, 3];
const known = scenariosFor({ seed: seedDefault, cuts: cutsDefault }).map(({ name }) => name);

const startMs = performance.now();
const say = (line: string): void =>
  void process.stderr.write(`${((performance.now() - startMs) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);

const interrupt = new AbortController();
let interrupts = 0;
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => {
    if (++interrupts > 1) process.exit(130);
    say("stopping: the emulated board and the backend end");
    interrupt.abort(new Error("interrupted"));
  });
}
const { signal } = interrupt;

function names(text: string): string[] {
  for (const name of text.split(",")) {
    if (!known.includes(name)) throw new InvalidArgumentError(`Each must be one of ${known.join(", ")}.`);
  }
  return text.split(",");
}

function count(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number, at least 1.");
}

/** The image, and what lies beside it. */
async function findImage({ image, out }: Options): Promise<string> {
  if (image !== undefined) {
    await stat(image).catch(() => {
      throw new Error(`there is no image ${image}: build one with npm run flash -- build`);
    });
    return resolve(image);
  }
  say("building the image (platen-flash build; what has not changed is not built again)");
  const { stderr } = await runProgram("hw/flash/main.ts", ["build", "--out", out], { signal });
  for (const line of stderr.trim().split("\n")) say(line);
  return join(out, "platen-arm64.img");
}

/** The bundle beside the image of the app, or the system, in it. */
async function bundleBeside(image: string, kind: "app" | "system"): Promise<string> {
  const names = await Array.fromAsync(glob(`platen-${kind}-*.bundle`, { cwd: dirname(image) }));
  if (names.length === 1) return join(dirname(image), names[0]!);
  throw new Error(
    `beside ${image} there must be one platen-${kind}-*.bundle, the ${kind} in it, and not ${names.length}`,
  );
}

/** Sheets are held against what this tree prints: an app of another commit may rightly print other dots. */
async function tellOfOtherCommit(bundle: string): Promise<void> {
  const { manifest } = decodeHead(await readFile(bundle), undefined);
  const here = await promisify(execFile)("git", ["-C", repository, "rev-parse", "HEAD"]).catch(
    () => undefined,
  );
  const head = here?.stdout.trim();
  if (manifest.kind === "app" && head !== undefined && manifest.commit !== head)
    say(
      `the image's app is of commit ${manifest.commit.slice(0, 8)}, and this is ${head.slice(0, 8)}: their sheets may differ`,
    );
}

async function sizesOf(image: string): Promise<Record<string, number>> {
  const sizes: Record<string, number> = {};
  for await (const name of glob(["*.img", "*.img.zst", "*.bundle"], { cwd: dirname(image) })) {
    sizes[basename(name)] = (await stat(join(dirname(image), name))).size;
  }
  return sizes;
}

/** A failure of the board in a sentence; of this program with where it was. */
const why = (error: unknown): string =>
  error instanceof Failed
    ? error.message
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);

async function runOne(scenario: Scenario, stand: Stand, out: string): Promise<ScenarioReport> {
  const { name, title } = scenario;
  say(`${name}: ${title}`);
  const beganMs = performance.now();
  const checks: string[] = [];
  const figures: Record<string, string | number> = {};
  let failure: string | undefined;
  try {
    await scenario.run(stand, {
      saw(sentence) {
        checks.push(sentence);
        say(`  + ${sentence}`);
      },
      figure(what, value) {
        figures[what] = value;
        say(`  = ${what}: ${value}`);
      },
    });
  } catch (error) {
    failure = signal.aborted ? "interrupted" : why(error);
    say(`  - ${failure}`);
    const wreckage = signal.aborted ? undefined : await stand.wreckage();
    if (wreckage !== undefined) {
      await writeFile(join(out, `${name}.log`), wreckage);
      say(`    what the board says of it: ${join(out, `${name}.log`)}`);
    }
    // What comes next begins with a board of which nothing is known.
    await stand.discard();
  }
  const tookS = Math.round((performance.now() - beganMs) / 1000);
  return { name, title, tookS, checks, figures, ...(failure !== undefined && { failure }) };
}

async function test(options: Options): Promise<BoardReport> {
  const { engine } = options;
  // Before minutes are spent on an image.
  await requirePrograms([
    "qemu-system-aarch64",
    emulatedUBoot,
    "mcopy",
    "debugfs",
    "socat",
    "mksquashfs",
    "unsquashfs",
    ...programsOf[engine],
  ]);
  const out = resolve(options.out);
  await mkdir(out, { recursive: true });
  const startedAt = new Date().toISOString();
  const image = await findImage(options);
  const bundle = await bundleBeside(image, "app");
  const systemBundle = await bundleBeside(image, "system");
  await tellOfOtherCommit(bundle);
  const key = options.key ?? join(await keysFolder(defaultCache()), "release.pem");
  const chosen = scenariosFor(options).filter(({ name }) => options.only?.includes(name) ?? true);
  const results: ScenarioReport[] = [];
  {
    await using stand = await Stand.open({ image, bundle, systemBundle, key, engine, out, say, signal });
    for (const scenario of chosen) {
      if (signal.aborted) break;
      results.push(await runOne(scenario, stand, out));
    }
  }
  const report: BoardReport = {
    image,
    startedAt,
    seed: options.seed,
    sizes: await sizesOf(image),
    scenarios: results,
    complete: !signal.aborted && results.length === chosen.length,
  };
  await writeFile(join(out, "report.json"), `${JSON.stringify(report, null, 2)}\n`);
  await writeFile(join(out, "report.txt"), asText(report));
  return report;
}

const program = new Command("board")
  .description(
    "Starts the card's image on an emulated board (QEMU), with a backend and an engine on this machine, and puts it through " +
      "what boards meet: jobs, pulled cables, updates good and bad, power cuts, wrong settings, a wrong clock.",
  )
  .option(
    "--image <file>",
    "an image that platen-flash build made, its bundles beside it; default: build one (needs root)",
  )
  .option(
    "--key <file>",
    "release key that the image trusts, PEM; default: the one platen-flash made for this machine",
  )
  .option("--only <names>", `run only these, with commas between: ${known.join(", ")}`, names)
  .addOption(
    new Option(
      "--engine <kind>",
      "what prints: the simulated engine, or the one in C (hw/engine-fw) on an emulated Cortex-M3",
    )
      .choices(Object.keys(machines))
      .default("simulator"),
  )
  .option(
    "--seed <n>",
    "of the moments of the power cuts, and of the step of an update that they begin with",
    count,
    seedDefault,
  )
  .option("--cuts <n>", "how many power cuts in each of the two scenarios", count, cutsDefault)
  .option("--out <dir>", "where report, logs and a built image come to", join(repository, "out"))
  .addHelpText(
    "after",
    `
Leaves report.txt, report.json, console.log (all that the board's serial console said) and backend.log in --out.
Exit code: 0 all passed; 1 something did not; 2 it could not be run; 130 interrupted.

Examples:
  sudo npm run board
  npm run board -- --image out/platen-arm64.img --only print,unplug`,
  )
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .parse();

try {
  const report = await test(program.opts<Options>());
  process.stdout.write(`\n${asText(report)}`);
  if (signal.aborted) process.exitCode = 130;
  else if (!passed(report)) process.exitCode = 1;
} catch (error) {
  say(signal.aborted ? "interrupted" : error instanceof Error ? error.message : String(error));
  process.exitCode = signal.aborted ? 130 : 2;
}
