/** `platen print` and `platen demo`: a document printed by a whole system that lives as long as the command. */
import { existsSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { type Job, type JobState, JobTicketSchema, type PlatenError } from "@platen/proto";
import { type Command, Option } from "commander";
import { validateTicket } from "../domain/ticket.ts";
import { callTimeoutMs, type IntakeClient } from "./connection.ts";
import { errorText, exitCodeHelp, exitCodeOfJobs, type Finish, isVerbose } from "./exit.ts";
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
  readonly sources: readonly Source[];
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
      const sources = await Promise.all(names.map(parseSource));
      const { out, jobName } = options;
      const color = options.printer === "color";
      const printout = { sources, ticket, jobName, out, color, verbose: isVerbose(command) };
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
      const sources = [await parseSource(sample)];
      const { out } = options;
      const printout = { sources, ticket: {}, out, color: true, verbose: isVerbose(command) };
      await printOut(printout, options, finish, signal);
    }),
  );
}

/** Prints on a system of its own, and finishes with the code of how the jobs ended. */
async function printOut(
  printout: Printout,
  output: OutputOptions,
  finish: Finish,
  signal: AbortSignal,
): Promise<void> {
  const { color, verbose } = printout;
  const outDir = await openOutDir(printout.out);
  await reporting(output, async (reporter) => {
    reporter.note(`starting ${executors} executors and a ${color ? "colour" : "mono"} printer`);
    const log = (error: PlatenError) => process.stderr.write(`${errorText(error, verbose)}\n`);
    await using system = await startLocalSystem({ outDir, color, executors, log, signal });
    const over = new AbortController();
    try {
      const printing = printAll(system, printout, { reporter, signal, over });
      finish(exitCodeOfJobs(await Promise.race([printing, system.failed])));
    } finally {
      over.abort();
    }
  });
}

interface Following {
  readonly reporter: Reporter;
  /** Ctrl-C. It does not end the following: the jobs come to their end, canceled, and are seen to. */
  readonly signal: AbortSignal;
  /** Ends the following. */
  readonly over: AbortController;
}

/** Submits all, and resolves to how they ended. */
async function printAll(system: LocalSystem, printout: Printout, following: Following): Promise<JobState[]> {
  const { ticket, jobName } = printout;
  const { intake, printerId } = system;
  const { reporter, signal, over } = following;
  const jobs: Job[] = [];
  const ends: Promise<JobState>[] = [];
  const interrupted = rejectOnAbort(signal).catch(() => cancelAll(intake, jobs, following));
  let refusal: unknown;
  try {
    for (const source of printout.sources) {
      const startedMs = Date.now();
      const job = await submit(intake, { source, printerId, ticket, jobName }, signal);
      jobs.push(job);
      reporter.submitted(job);
      const sheets = (of: Progress) => sheetsOf(system, of);
      const end = follow(intake, job, { reporter, signal: over.signal, startedMs, sheets });
      end.catch(() => {});
      ends.push(end);
    }
  } catch (error) {
    // What was accepted before is printed all the same.
    refusal = error;
  }
  const states = await Promise.all(ends);
  if (signal.aborted) await interrupted;
  signal.throwIfAborted();
  if (refusal !== undefined) throw refusal;
  return states;
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
