/** `platen print` and `platen demo`: a document printed by a whole system that lives as long as the command. */
import { existsSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { type Job, JobTicketSchema, type PlatenError, toPlatenError } from "@platen/proto";
import { type Command, Option } from "commander";
import { validateTicket } from "../domain/ticket.ts";
import { callTimeoutMs, type IntakeClient } from "./connection.ts";
import {
  errorText,
  type ExitCode,
  exitCodeHelp,
  exitCodeOf,
  exitCodeOfJob,
  exitCodes,
  type Finish,
  isVerbose,
  worstOf,
} from "./exit.ts";
import { follow, parseSource, type Source, submit } from "./follow.ts";
import { interruptible } from "./interrupt.ts";
import { type LocalSystem, rejectOnAbort, startLocalSystem } from "./local-system.ts";
import { openOutDir } from "./out-dir.ts";
import type { Progress } from "./progress.ts";
import { addOutputOptions, type OutputOptions, type Reporter, reporting } from "./reporter.ts";
import { addTicketOptions, ticketOf, type TicketInit, type TicketOptions } from "./ticket-options.ts";

/** How long canceled jobs may take to end after Ctrl-C. */
const cancelTimeoutMs = 15_000;
const executors = 2;

interface PrintOptions extends OutputOptions, TicketOptions {
  out: string;
  printer: "color" | "mono";
  jobName?: string;
}

interface Printout {
  /** Files, URLs, `-`. */
  readonly names: readonly string[];
  readonly ticket: TicketInit;
  readonly jobName?: string | undefined;
  readonly out: string;
  readonly color: boolean;
  /** Tell errors that nobody foresaw with their stacks. */
  readonly verbose: boolean;
}

export function addPrint(program: Command, finish: Finish): void {
  const command = program
    .command("print")
    .summary("print files without a server")
    .description(
      'Prints files, URLs or standard input ("-"): starts a whole system in this process, with two executors and a printer ' +
        "whose sheets are PNG files, prints, and ends it. Nothing but the sheets remains. Ctrl-C cancels the jobs.",
    )
    .argument("<file|url...>")
    .option("--out <dir>", "where the sheets go, a folder a job", "out")
    .addOption(new Option("--printer <kind>", "which printer").choices(["color", "mono"]).default("color"))
    .option("--job-name <name>", "a name for people; default: the file's")
    .addHelpText(
      "after",
      `
Examples:
  platen print report.pdf
  platen print photo.jpg --media a4 --print-scaling fill --out sheets
  platen print *.pdf --printer mono --number-up 2 --json
${exitCodeHelp}`,
    );
  addOutputOptions(addTicketOptions(command));
  command.action((names: string[], options: PrintOptions) =>
    interruptible(async (signal) => {
      const ticket = ticketOf(options);
      validateTicket(create(JobTicketSchema, ticket));
      const { out, jobName } = options;
      const color = options.printer === "color";
      const printout = { names, ticket, jobName, out, color, verbose: isVerbose(command) };
      await printOut(printout, options, finish, signal);
    }),
  );
}

export function addDemo(program: Command, finish: Finish): void {
  const command = program
    .command("demo")
    .summary("see it work")
    .description(
      "Prints a sample of several pages on a colour printer whose sheets are PNG files, with two executors.",
    )
    .option("--out <dir>", "where the sheets go, a folder a job", "out")
    .addHelpText("after", `\nExample:\n  platen demo --out sheets\n${exitCodeHelp}`);
  addOutputOptions(command).action((options: OutputOptions & { out: string }) =>
    interruptible(async (signal) => {
      const sample = fileURLToPath(new URL("../../../samples/welcome.pdf", import.meta.url));
      const { out } = options;
      const printout = { names: [sample], ticket: {}, out, color: true, verbose: isVerbose(command) };
      await printOut(printout, options, finish, signal);
    }),
  );
}

/** Prints on a system of its own what can be printed, and finishes with the code of the worst that became of anything. */
async function printOut(
  printout: Printout,
  output: OutputOptions,
  finish: Finish,
  signal: AbortSignal,
): Promise<void> {
  const { color, verbose } = printout;
  await reporting(output, async (reporter) => {
    const sources = await acceptable(printout.names, reporter);
    const refusals = sources.length < printout.names.length ? [exitCodes.refused] : [];
    if (sources.length === 0) return finish(exitCodes.refused);
    const outDir = await openOutDir(printout.out);
    reporter.note(`starting ${executors} executors and a ${color ? "colour" : "mono"} printer`);
    const log = (error: PlatenError) => process.stderr.write(`${errorText(error, verbose)}\n`);
    await using system = await startLocalSystem({ outDir, color, executors, log, signal });
    const over = new AbortController();
    try {
      const printing = printAll(system, sources, printout, { reporter, signal, over });
      finish(worstOf([...refusals, ...(await Promise.race([printing, system.failed]))]));
    } finally {
      over.abort();
    }
  });
}

interface Named {
  readonly name: string;
  readonly source: Source;
}

/** Tells of what cannot be printed, and resolves to the rest. */
async function acceptable(names: readonly string[], reporter: Reporter): Promise<Named[]> {
  const all: Named[] = [];
  for (const name of names) {
    try {
      all.push({ name, source: await parseSource(name) });
    } catch (error) {
      reporter.refused(name, toPlatenError(error));
    }
  }
  return all;
}

interface Following {
  readonly reporter: Reporter;
  /** Ctrl-C. It does not end the following: the jobs come to their end, canceled, and are seen to. */
  readonly signal: AbortSignal;
  /** Ends the following. */
  readonly over: AbortController;
}

/** Submits all, and resolves to what became of each. */
async function printAll(
  system: LocalSystem,
  sources: readonly Named[],
  printout: Printout,
  following: Following,
): Promise<ExitCode[]> {
  const { ticket, jobName } = printout;
  const { intake, printerId } = system;
  const { reporter, signal, over } = following;
  const jobs: Job[] = [];
  const ends: Promise<ExitCode>[] = [];
  const interrupted = rejectOnAbort(signal).catch(() => cancelAll(intake, jobs, following));
  let failure: unknown;
  for (const { name, source } of sources) {
    const startedMs = Date.now();
    try {
      const job = await submit(intake, { source, printerId, ticket, jobName }, signal);
      jobs.push(job);
      reporter.submitted(job);
      const sheets = (of: Progress) => sheetsOf(system, of);
      const end = follow(intake, job, { reporter, signal: over.signal, startedMs, sheets }).then(
        exitCodeOfJob,
      );
      end.catch(() => {});
      ends.push(end);
    } catch (error) {
      if (exitCodeOf(error) === exitCodes.refused) {
        reporter.refused(name, toPlatenError(error));
        ends.push(Promise.resolve(exitCodes.refused));
        continue;
      }
      // What was accepted before is printed all the same.
      failure = error;
      break;
    }
  }
  const codes = await Promise.all(ends);
  if (signal.aborted) await interrupted;
  signal.throwIfAborted();
  if (failure !== undefined) throw failure;
  return codes;
}

/** Ctrl-C: ends the jobs as a user's cancel does, so that the printer throws out the sheet in it. */
async function cancelAll(
  intake: IntakeClient,
  jobs: readonly Job[],
  { reporter, over }: Following,
): Promise<void> {
  reporter.note("canceling");
  setTimeout(() => over.abort(), cancelTimeoutMs).unref();
  const message = "interrupted";
  await Promise.allSettled(
    jobs.map(({ jobId }) => intake.cancelJob({ jobId, message }, { timeoutMs: callTimeoutMs })),
  );
}

function sheetsOf(system: LocalSystem, { jobId, sheets }: Progress): string | undefined {
  const dir = system.sheetsOf(jobId);
  if (sheets === 0 || !existsSync(dir)) return undefined;
  const path = relative(process.cwd(), dir);
  return path.startsWith("..") ? dir : path;
}
