#!/usr/bin/env node
/** The `platen-boot` command: what a board starts instead of an app, and what puts the first version onto it. */
import { readFile } from "node:fs/promises";
import { PlatenError, toPlatenError } from "@platen/proto";
import { Command, Option } from "commander";
import { Board } from "./board.ts";
import { launch } from "./launcher.ts";
import { SystemLink } from "./system-link.ts";

interface Common {
  board: string;
}

const seconds = (text: string): number => {
  const value = Number(text);
  if (value > 0 && value < 86_400) return value;
  throw new PlatenError("configuration", `${text} is no number of seconds`);
};

const say = (line: string): void => {
  process.stdout.write(`platen-boot: ${line}\n`);
};

/** Aborts at SIGTERM and SIGINT. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort());
  return stop.signal;
}

interface RunOptions extends Common {
  node: string;
  nodeOptions: string;
  trialLimitS: number;
  silenceLimitS: number;
  stopLimitS: number;
}

function run(args: readonly string[], options: RunOptions): Promise<void> {
  return launch(
    {
      board: new Board(options.board),
      args,
      node: options.node,
      nodeArgs: options.nodeOptions.split(" ").filter(Boolean),
      env: process.env,
      trialLimitMs: options.trialLimitS * 1000,
      silenceLimitMs: options.silenceLimitS * 1000,
      stopLimitMs: options.stopLimitS * 1000,
      restartDelayMs: 1000,
      log: say,
      isSystemOnTrial: async () => (await new SystemLink().status())?.trial ?? false,
    },
    stopSignal(),
  );
}

/** Puts keys, a runtime and an app onto a new board; each that is there already stays. */
async function init(options: Common & { keys: string; bundle: string; runtime?: string; target: string }) {
  const board = new Board(options.board);
  await board.prepare(await readFile(options.keys));
  if (await board.current()) return say("the board has a version already");
  const install = { board: options.target, channel: undefined };
  if (options.runtime) await board.install(options.runtime, install);
  const { version } = await board.install(options.bundle, install);
  await board.adopt();
  say(`version ${version} is on the board`);
}

async function install(
  file: string,
  options: Common & { target: string; allowDowngrade?: boolean; retry?: boolean },
): Promise<void> {
  const board = new Board(options.board);
  const attempt = options.retry ? Number.MAX_SAFE_INTEGER : 1;
  const downgrade = options.allowDowngrade ? "any" : undefined;
  const manifest = await board.install(file, {
    board: options.target,
    channel: undefined,
    downgrade,
    attempt,
  });
  if (manifest.kind === "app") await board.askTrial(manifest.payload.sha256);
  say(
    `version ${manifest.version} is installed${manifest.kind === "app" ? ", and tried at the next start" : ""}`,
  );
}

async function status({ board: root }: Common): Promise<void> {
  const board = new Board(root);
  const current = await board.current();
  const { starts, last, trying } = await board.state();
  const { number } = await board.keys();
  const shown = {
    version: current?.manifest.version,
    slot: current?.name,
    starts,
    trying,
    last,
    keySet: number,
  };
  process.stdout.write(`${JSON.stringify(shown)}\n`);
}

const program = new Command("platen-boot")
  .description("Starts the version of the printer's app that a board holds, and tries new ones.")
  .enablePositionalOptions();
const boardOption = () =>
  new Option("--board <dir>", "the board's folder of versions").env("PLATEN_BOARD").default("/data/platen");
const targetOption = () =>
  new Option("--target <name>", "what this board is, as bundles name it").default(
    `linux-${process.arch}-glibc`,
  );

program
  .command("run", { isDefault: true })
  .description("Runs the app until SIGTERM. What follows -- is for the app.")
  .addOption(boardOption())
  .option("--node <file>", "Node for versions that need this one's", process.execPath)
  .option("--node-options <text>", "options of Node for the app", "")
  .option("--trial-limit-s <n>", "a new version must be healthy after so long", seconds, 240)
  .option("--silence-limit-s <n>", "an app that says nothing for so long hangs", seconds, 90)
  .option("--stop-limit-s <n>", "how long an app may take to end", seconds, 20)
  .argument("[args...]")
  .passThroughOptions()
  .action(run);
program
  .command("init")
  .description("Puts the first version onto a board.")
  .addOption(boardOption())
  .addOption(targetOption())
  .requiredOption("--keys <file>", "the key set that the board is to trust")
  .requiredOption("--bundle <file>", "the app")
  .option("--runtime <file>", "the runtime it needs, where that is not the image's own")
  .action(init);
program
  .command("install")
  .description("Installs a bundle by hand; an app is tried at the next start.")
  .addOption(boardOption())
  .addOption(targetOption())
  .option("--allow-downgrade", "take also an earlier version than runs")
  .option("--retry", "take also a version that failed here before")
  .argument("<file>")
  .action(install);
program
  .command("status")
  .description("Says what runs and how the last trial ended, as JSON.")
  .addOption(boardOption())
  .action(status);

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`platen-boot: ${toPlatenError(error).message}\n`);
  process.exitCode = 4;
}
