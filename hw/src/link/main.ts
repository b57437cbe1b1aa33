#!/usr/bin/env node
/** `platen-engine`: a simulated engine on a pseudo-terminal, and a bad line to put before any engine. Needs socat. */
import { createInterface } from "node:readline";
import { Command, InvalidArgumentError } from "commander";
import { bearClosedOutput } from "../closed-output.ts";
import type { Trouble } from "../engine-model.ts";
import { serveStand } from "../stand/server.ts";
import { EngineStand } from "../stand/stand.ts";
import { joinByFaultyLine } from "./join.ts";
import { ptyLine } from "./line.ts";
import { desktopMechanics } from "./profile.ts";
import { serialLine } from "./serial-line.ts";

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError("not a number from 0 up");
  }
  return value;
}

const troubles: Readonly<Record<string, Trouble>> = {
  paper: "media-empty",
  jam: "media-jam",
  ink: "marker-supply-empty",
  cover: "cover-open",
  tray: "output-area-full",
  head: "engine-fault",
};

interface EngineCommand {
  readonly pty: string;
  readonly paper: number;
  readonly ink: number;
  readonly rowsPerSecond: number;
  readonly warmUp: number;
  readonly web?: number | true;
}

async function runEngine({ pty, paper, ink, rowsPerSecond, warmUp, web }: EngineCommand): Promise<void> {
  await using line = await ptyLine(pty);
  using stand = new EngineStand(line, {
    model: { paperSheets: paper, inkDots: ink },
    mechanics: { ...desktopMechanics, rowsPerSecond, warmUpMs: warmUp },
  });
  const { model } = stand;
  model.listen((event) => console.log(JSON.stringify(event)));
  console.log(
    `The engine listens at ${pty}. Type ${Object.keys(troubles).join(", ")}, cancel, clear, off, on, or quit.`,
  );
  await using page = web === undefined ? undefined : await serveStand(stand, web === true ? 0 : web);
  if (page) console.log(`Its sheets and its buttons are at ${page.url}`);
  const lines = createInterface({ input: process.stdin });
  void line.closed.then(() => lines.close());
  for await (const text of lines) {
    const word = text.trim();
    const trouble = troubles[word];
    if (trouble) model.fail(trouble);
    else if (word === "clear") model.remedy();
    else if (word === "cancel") model.pressCancel();
    else if (word === "off") stand.powerOff();
    else if (word === "on") stand.powerOn();
    else if (word === "quit") return;
    else if (word !== "") console.log(`There is no "${word}".`);
  }
  // Without a terminal to type at, it runs until it is ended.
  if (!process.stdin.isTTY) await line.closed;
}

interface ProxyCommand {
  readonly pty: string;
  readonly to: string;
  readonly seed: number;
  readonly baud: number;
  readonly bitErrors: number;
  readonly drop: number;
  readonly duplicate: number;
  readonly reorder: number;
  readonly delay: number;
}

async function runProxy(options: ProxyCommand): Promise<void> {
  await using host = await ptyLine(options.pty);
  await using engine = await serialLine(options.to, options.baud);
  using proxy = joinByFaultyLine(host, engine, options.seed, {
    baudRateBps: options.baud,
    faults: {
      bitErrorRate: options.bitErrors,
      dropRate: options.drop,
      duplicateRate: options.duplicate,
      reorderRate: options.reorder,
      delayMs: options.delay,
    },
  });
  console.log(`${options.pty} leads to ${options.to}. Type cut or stall and milliseconds, counts, or quit.`);
  const lines = createInterface({ input: process.stdin });
  void Promise.race([host.closed, engine.closed]).then(() => lines.close());
  for await (const text of lines) {
    const [word, ms] = text.trim().split(/\s+/);
    const forMs = Number(ms ?? 1000);
    if (word === "quit") return;
    if (word === "counts")
      console.log(JSON.stringify({ forth: proxy.forth.counts, back: proxy.back.counts }));
    for (const line of [proxy.forth, proxy.back]) {
      if (word === "cut") line.cut(forMs);
      if (word === "stall") line.stall(forMs);
    }
  }
  if (!process.stdin.isTTY) await Promise.race([host.closed, engine.closed]);
}

bearClosedOutput();
const program = new Command("platen-engine").description(
  "A print engine without paper, and bad lines to it.",
);
program
  .command("run")
  .description("a simulated engine on a pseudo-terminal")
  .requiredOption("--pty <path>", "where the port appears")
  .option(
    "--web [port]",
    "a page on this machine that shows its sheets as they print (default: any port)",
    number,
  )
  .option("--paper <sheets>", "sheets in a full tray", number, 250)
  .option("--ink <dots>", "dots that a full tank gives", number, 6e8)
  .option("--rows-per-second <rows>", "print speed", number, desktopMechanics.rowsPerSecond)
  .option("--warm-up <ms>", "from standing still to the first sheet", number, desktopMechanics.warmUpMs)
  .action(runEngine);
program
  .command("proxy")
  .description("a bad line, replayable by its seed, from a pseudo-terminal to a port")
  .requiredOption("--pty <path>", "where the host's end appears")
  .requiredOption("--to <path>", "port of the engine")
  .option("--seed <number>", "of the faults", number, 1)
  .option("--baud <bits per second>", "speed of the line", number, 3_000_000)
  .option("--bit-errors <share>", "of the bits that are flipped", number, 0)
  .option("--drop <share>", "of the pieces of 64 bytes that are lost", number, 0)
  .option("--duplicate <share>", "of the pieces that come twice", number, 0)
  .option("--reorder <share>", "of the pieces that others pass", number, 0)
  .option("--delay <ms>", "of every piece", number, 0)
  .action(runProxy);
await program.parseAsync();
