/** The commands that are clients of a running server: submit, jobs, watch, cancel, printers. */
import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  type Job,
  JobSchema,
  JobState,
  PrinterMode,
  PrinterState,
  PrinterStateReasonSchema,
  type RegisteredPrinter,
  RegisteredPrinterSchema,
} from "@platen/proto";
import { type Command, InvalidArgumentError, Option } from "commander";
import { stateName } from "../domain/job.ts";
import {
  addServerOptions,
  callTimeoutMs,
  type IntakeClient,
  type ServerOptions,
  withIntake,
} from "./connection.ts";
import { type ExitCode, exitCodeHelp, exitCodeOfJobs, interruption } from "./exit.ts";
import { follow, parseSource, submit } from "./follow.ts";
import { interruptible } from "./interrupt.ts";
import { type OutputOptions, type Reporter, reporterOf, writeJson } from "./reporter.ts";
import { table } from "./table.ts";
import { addTicketOptions, ticketOf, type TicketOptions } from "./ticket-options.ts";

/** Hands a command's exit code to the program. */
export type Finish = (code: ExitCode) => void;

export function addOutputOptions(command: Command): Command {
  command.addOption(
    new Option("--json", "one JSON object a line").conflicts("quiet").helpGroup("Output options:"),
  );
  return command.addOption(new Option("--quiet", "only errors").helpGroup("Output options:"));
}

export function addClientCommands(program: Command, finish: Finish): void {
  addSubmit(program, finish);
  addJobs(program);
  addWatch(program, finish);
  addCancel(program);
  addPrinters(program);
}

/** Runs an action with a reporter, and leaves the terminal as it should be however it ends. */
export async function reporting<T>(
  options: OutputOptions,
  action: (reporter: Reporter) => Promise<T>,
): Promise<T> {
  const reporter = reporterOf(options);
  try {
    return await action(reporter);
  } finally {
    reporter.close();
  }
}

interface SubmitOptions extends ServerOptions, OutputOptions, TicketOptions {
  printer: string;
  jobName?: string;
  watch?: boolean;
}

function addSubmit(program: Command, finish: Finish): void {
  const command = program
    .command("submit")
    .summary("make a print job on a server")
    .description(
      'Makes a print job of a file, of a URL that the server downloads, or of standard input ("-"), and says its id.',
    )
    .argument("<file|url>")
    .requiredOption("--printer <id>", 'the printer; "platen printers" lists them')
    .option("--job-name <name>", "a name for people; default: the file's")
    .option("--watch", "follow the job to its end, and exit as it ended")
    .addHelpText(
      "after",
      `
Examples:
  platen submit report.pdf --printer office --copies 2 --sides two-sided-long-edge
  platen submit https://example.org/menu.pdf --printer kitchen --watch
  ps2pdf poster.ps - | platen submit - --printer hall --media a3 --print-scaling fill
${exitCodeHelp}`,
    );
  addOutputOptions(addTicketOptions(addServerOptions(command)));
  command.action((name: string, options: SubmitOptions) =>
    interruptible(async (signal) => {
      const source = await parseSource(name);
      const submission = {
        source,
        printerId: options.printer,
        ticket: ticketOf(options),
        jobName: options.jobName,
      };
      await withIntake(options, (intake) =>
        reporting(options, async (reporter) => {
          const job = await submit(intake, submission, signal);
          if (options.watch) {
            reporter.submitted(job);
            finish(exitCodeOfJobs([await followed(intake, job, reporter, signal)]));
          } else if (options.json) reporter.submitted(job);
          else process.stdout.write(`${job.jobId}\n`);
        }),
      );
    }),
  );
}

/** Follows a job that is the server's: it goes on when this command is interrupted. */
async function followed(
  intake: IntakeClient,
  job: Job,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<JobState> {
  try {
    return await follow(intake, job, { reporter, signal });
  } catch (error) {
    if (!signal.aborted) throw error;
    throw interruption(`the job goes on; "platen cancel ${job.jobId}" ends it`);
  }
}

interface WatchOptions extends ServerOptions, OutputOptions {}

function addWatch(program: Command, finish: Finish): void {
  const command = program
    .command("watch")
    .summary("follow a job to its end")
    .description("Tells a job's history from the start, then follows it to its end, and exits as it ended.")
    .argument("<job>", "its id")
    .addHelpText("after", `\nExample:\n  platen watch 0mhb3k2p1-5f0c9a7d21e4\n${exitCodeHelp}`);
  addOutputOptions(addServerOptions(command));
  command.action((jobId: string, options: WatchOptions) =>
    interruptible((signal) =>
      withIntake(options, (intake) =>
        reporting(options, async (reporter) => {
          const { job } = await intake.getJob({ jobId }, { signal, timeoutMs: callTimeoutMs });
          reporter.submitted(job!);
          finish(exitCodeOfJobs([await followed(intake, job!, reporter, signal)]));
        }),
      ),
    ),
  );
}

interface CancelOptions extends ServerOptions {
  message?: string;
  json?: boolean;
}

function addCancel(program: Command): void {
  const command = program
    .command("cancel")
    .summary("ask for the end of jobs")
    .description(
      "Asks for the end of jobs. One that is being printed ends when the printer has let go of its sheet.",
    )
    .argument("<job...>", "their ids")
    .option("--message <text>", "why, for people")
    .option("--json", "one JSON object a line")
    .addHelpText(
      "after",
      `\nExample:\n  platen cancel 0mhb3k2p1-5f0c9a7d21e4 --message "wrong file"\n${exitCodeHelp}`,
    );
  addServerOptions(command).action((jobIds: string[], options: CancelOptions) =>
    withIntake(options, async (intake) => {
      const { message = "" } = options;
      const answers = await Promise.allSettled(
        jobIds.map((jobId) => intake.cancelJob({ jobId, message }, { timeoutMs: callTimeoutMs })),
      );
      for (const answer of answers) {
        if (answer.status === "rejected") continue;
        const job = answer.value.job!;
        if (options.json) writeJson(process.stdout, toJson(JobSchema, job) as object);
        else process.stdout.write(`${job.jobId}: ${stateName(job.state)}\n`);
      }
      const refusal = answers.find((answer) => answer.status === "rejected");
      if (refusal) throw refusal.reason;
    }),
  );
}

interface JobsOptions extends ServerOptions {
  printer?: string;
  state?: JobState[];
  limit: number;
  json?: boolean;
}

const listedStates = Object.values(JobState).filter((state) => state !== JobState.UNSPECIFIED);

function parseStates(text: string): JobState[] {
  return text.split(",").map((name) => {
    const state = listedStates.find((one) => stateName(one) === name.trim());
    if (state !== undefined) return state;
    throw new InvalidArgumentError(`Each must be one of ${listedStates.map(stateName).join(", ")}.`);
  });
}

function parseLimit(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number, at least 1.");
}

function addJobs(program: Command): void {
  const command = program
    .command("jobs")
    .summary("list jobs, newest first")
    .description("Lists jobs, newest first.")
    .option("--printer <id>", "only jobs of this printer")
    .option("--state <states>", "only jobs in these states, for example pending,processing", parseStates)
    .option("--limit <n>", "at most so many", parseLimit, 50)
    .option("--json", "one JSON object a line")
    .addHelpText(
      "after",
      `\nExample:\n  platen jobs --printer office --state pending,processing\n${exitCodeHelp}`,
    );
  addServerOptions(command).action((options: JobsOptions) =>
    withIntake(options, async (intake) => {
      const jobs = await listJobs(intake, options);
      if (options.json) for (const job of jobs) writeJson(process.stdout, toJson(JobSchema, job) as object);
      else
        process.stdout.write(
          table(["JOB", "STATE", "PRINTER", "USER", "PRINTED", "CREATED", "NAME"], jobs.map(jobRow)),
        );
    }),
  );
}

async function listJobs(intake: IntakeClient, options: JobsOptions): Promise<Job[]> {
  const { printer: printerId = "", state: states = [], limit } = options;
  const jobs: Job[] = [];
  let pageToken = "";
  do {
    const pageSize = Math.min(limit - jobs.length, 1000);
    const request = { printerId, states, pageSize, pageToken };
    const page = await intake.listJobs(request, { timeoutMs: callTimeoutMs });
    jobs.push(...page.jobs);
    pageToken = page.nextPageToken;
  } while (pageToken && jobs.length < limit);
  return jobs;
}

const timeText = (time: Job["createTime"]): string =>
  time ? timestampDate(time).toISOString().slice(0, 19).replace("T", " ") : "";

function jobRow(job: Job): string[] {
  const { jobId, printerId, userName, impressions, impressionsCompleted, createTime, jobName } = job;
  const all = impressions * (job.ticket?.copies || 1);
  const printed = all ? `${impressionsCompleted}/${all}` : "";
  const reason = job.state === JobState.ABORTED ? ` (${job.errorCode})` : "";
  return [jobId, stateName(job.state) + reason, printerId, userName, printed, timeText(createTime), jobName];
}

function addPrinters(program: Command): void {
  const command = program
    .command("printers")
    .summary("list the printers that have registered")
    .description("Lists the printers that have registered, and how they are.")
    .option("--json", "one JSON object a line")
    .addHelpText(
      "after",
      `\nExample:\n  platen printers --server print.example.org:6310 --tls\n${exitCodeHelp}`,
    );
  addServerOptions(command).action((options: ServerOptions & { json?: boolean }) =>
    withIntake(options, async (intake) => {
      const { printers } = await intake.listPrinters({}, { timeoutMs: callTimeoutMs });
      if (options.json) {
        for (const one of printers) writeJson(process.stdout, toJson(RegisteredPrinterSchema, one) as object);
      } else {
        const headings = ["PRINTER", "STATE", "MODE", "COLOR", "DPI", "SEEN", "MODEL"];
        process.stdout.write(table(headings, printers.map(printerRow)));
      }
    }),
  );
}

const printerStates: Readonly<Record<number, string>> = {
  [PrinterState.IDLE]: "idle",
  [PrinterState.PROCESSING]: "processing",
  [PrinterState.STOPPED]: "stopped",
};

function printerRow({ printerId, capabilities, mode, status, seenTime }: RegisteredPrinter): string[] {
  const reasons = (status?.stateReasons ?? []).map((reason) =>
    (PrinterStateReasonSchema.value[reason]?.localName ?? String(reason)).toLowerCase().replaceAll("_", "-"),
  );
  const state = printerStates[status?.state ?? 0] ?? "unknown";
  return [
    printerId,
    reasons.length ? `${state} (${reasons.join(", ")})` : state,
    mode === PrinterMode.PUSH ? "push" : "poll",
    capabilities?.colorSupported ? "yes" : "no",
    capabilities?.resolutionsDpi.join(",") ?? "",
    timeText(seenTime),
    capabilities?.makeAndModel ?? "",
  ];
}
