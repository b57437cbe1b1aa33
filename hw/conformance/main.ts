#!/usr/bin/env node
/** `npm run conformance`: does an engine do what docs/engine-link.md says? */
import { writeFile } from "node:fs/promises";
import { Command, InvalidArgumentError, Option } from "commander";
import { bearClosedOutput } from "../src/closed-output.ts";
import { processLine } from "../src/link/line.ts";
import { serialLine } from "../src/link/serial-line.ts";
import { askedOperator, panelOperator } from "./operator.ts";
import { fullSpeed } from "./raw-host.ts";
import { conforms, type Report, reportAs, reportLine, verdictLine } from "./report.ts";
import { checkCount, type CheckResult, runConformance, type SuiteOptions } from "./suite.ts";

interface Options {
  readonly port?: string;
  readonly baud: number;
  readonly rtscts?: boolean;
  readonly run?: string;
  readonly panel?: boolean;
  readonly ask?: boolean;
  readonly patience: number;
  readonly report?: string;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError("not a number above 0");
  return value;
}

function reportFile(name: string): string {
  if (!/\.(txt|json|html)$/.test(name)) throw new InvalidArgumentError("name it .txt, .json or .html");
  return name;
}

const interrupt = new AbortController();

/** The line to the engine, and who stands beside it. */
async function openEngine({ port, baud, rtscts, run, panel, ask }: Options) {
  const asked = ask ? { operator: askedOperator(process.stdin, process.stderr, interrupt.signal) } : {};
  if (port !== undefined) return { line: await serialLine(port, baud, rtscts), ...asked };
  const [command, ...args] = run!.trim().split(/\s+/);
  const line = await processLine(command!, args);
  return { line, ...(panel ? { operator: panelOperator(line.press) } : asked) };
}

async function test(options: Options): Promise<void> {
  const { line, ...operator } = await openEngine(options);
  await using _line = line;
  process.once("SIGINT", () => interrupt.abort(new Error("interrupted")));
  const patience = {
    answerMs: fullSpeed.answerMs * options.patience,
    heartbeatMs: fullSpeed.heartbeatMs * options.patience,
  };
  const suite: SuiteOptions = { ...operator, patience, signal: interrupt.signal };
  const results: CheckResult[] = [];
  const total = checkCount(suite);
  const startedAt = new Date().toISOString();
  for await (const result of runConformance(line, suite)) {
    results.push(result);
    console.log(`${String(results.length).padStart(2)}/${total} ${reportLine(result)}`);
  }
  const engine = options.port ?? options.run!;
  const report: Report = { engine, startedAt, complete: results.length === total, results };
  console.log(`\n${verdictLine(report)}`);
  if (options.report !== undefined) await writeFile(options.report, reportAs(options.report, report)!);
  if (interrupt.signal.aborted) process.exitCode = 130;
  else if (!conforms(report)) process.exitCode = 1;
}

bearClosedOutput();
const program = new Command("conformance")
  .description(
    "Tests a print engine against docs/engine-link.md, and prints a report. It prints some thirty sheets.",
  )
  .addOption(new Option("--port <path>", "serial port of the engine").conflicts("run"))
  .option("--baud <bits per second>", "speed of the port", positive, 3_000_000)
  .option("--rtscts", "hardware flow control, if both sides have the wires")
  .option("--run <command>", "start an engine that speaks on standard input and output")
  .addOption(
    new Option("--ask", "ask you to open covers, take paper, press cancel: checks of every stop").conflicts(
      "panel",
    ),
  )
  .option("--panel", "the same, by keys to descriptor 3 of --run's command (hw/engine-fw/boards/bench.h)")
  .option(
    "--patience <factor>",
    "for engines emulated on a busy machine: times what the page allows",
    positive,
    1,
  )
  .option("--report <file>", "write the report there, as .txt, .json or .html", reportFile)
  .addHelpText(
    "after",
    `
Exit code: 0 the engine conforms; 1 it does not; 2 it could not be tested; 130 interrupted.

Examples:
  npm run conformance -- --port /dev/ttyUSB0 --rtscts --ask --report acceptance.html
  npm run conformance -- --port /dev/ttyACM0 --baud 921600`,
  )
  // A mistake in the arguments is no verdict.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .parse();

const options = program.opts<Options>();
if (options.port === undefined && options.run === undefined)
  program.error("name an engine by --port or --run");
if (options.panel && options.run === undefined) program.error("--panel goes with --run");

try {
  await test(options);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
