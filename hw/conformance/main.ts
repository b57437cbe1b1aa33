#!/usr/bin/env node
/** `npm run conformance`: does an engine do what docs/engine-link.md says? Prints a report; exit code 1 when it does not. */
import { Command, Option } from "commander";
import { type Line, processLine } from "../src/link/line.ts";
import { serialLine } from "../src/link/serial-line.ts";
import { reportLine, runConformance } from "./suite.ts";

interface Options {
  readonly port?: string;
  readonly baud: string;
  readonly rtscts?: boolean;
  readonly run?: string;
}

function openLine({ port, baud, rtscts, run }: Options): Promise<Line> {
  if (port !== undefined) return serialLine(port, Number(baud), rtscts);
  const [command, ...args] = run!.split(/\s+/);
  return processLine(command!, args);
}

const program = new Command("conformance")
  .description("Tests a print engine against the engine link's specification, and prints a report.")
  .addOption(new Option("--port <path>", "serial port of the engine").conflicts("run"))
  .option("--baud <bits per second>", "speed of the port", "3000000")
  .option("--rtscts", "hardware flow control")
  .option("--run <command>", "start an engine that speaks on standard input and output")
  .parse();

const options = program.opts<Options>();
if (options.port === undefined && options.run === undefined)
  program.error("name an engine by --port or --run");

await using line = await openLine(options);
const count = { passed: 0, failed: 0, skipped: 0 };
for await (const result of runConformance(line)) {
  console.log(reportLine(result));
  count[result.outcome]++;
}
console.log(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
if (count.failed > 0) process.exitCode = 1;
