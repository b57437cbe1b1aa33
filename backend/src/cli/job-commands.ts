/** What a user does to jobs of a running server: submit, watch, cancel. */
import { toJson } from "@bufbuild/protobuf";
import { hasCode, type Job, JobSchema, type JobState, PlatenError } from "@platen/proto";
import type { Command } from "commander";
import { stateName } from "../domain/job.ts";
import {
  addServerOptions,
  callTimeoutMs,
  type IntakeClient,
  type ServerOptions,
  withIntake,
} from "./connection.ts";
import { exitCodeHelp, exitCodeOfJob, type Finish, interruption, refusalOf } from "./exit.ts";
import { follow, parseSource, submit } from "./follow.ts";
import { interruptible } from "./interrupt.ts";
import { addOutputOptions, type OutputOptions, type Reporter, reporting, writeJson } from "./reporter.ts";
import { addTicketOptions, ticketOf, type TicketOptions } from "./ticket-options.ts";

interface SubmitOptions extends ServerOptions, OutputOptions, TicketOptions {
  printer: string;
  jobName?: string;
  watch?: boolean;
}

export function addSubmit(program: Command, finish: Finish): void {
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
      const source = await parseSource(name).catch((error: PlatenError) => {
        throw refusalOf(name, error);
      });
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
            finish(exitCodeOfJob(await followed(intake, job, reporter, signal)));
          } else if (options.json) reporter.submitted(job);
          else process.stdout.write(`${job.jobId}\n`);
        }),
      );
    }),
  );
}

/** Waits between attempts grow to 5 s: some four minutes, in which a server is started again. */
const restartAttempts = 60;

/** Follows a job that is the server's: it goes on when this command is interrupted, or gives the server up. */
export async function followed(
  intake: IntakeClient,
  job: Job,
  reporter: Reporter,
  signal: AbortSignal,
  attempts = restartAttempts,
): Promise<JobState> {
  try {
    return await follow(intake, job, { reporter, signal, attempts });
  } catch (error) {
    if (signal.aborted) throw interruption(`the job goes on; "platen cancel ${job.jobId}" ends it`);
    if (!hasCode(error, "unavailable")) throw error;
    const message = `the server has been out of reach for too long (${error.message}); its jobs go on when it comes again: "platen watch ${job.jobId}" follows this one`;
    throw new PlatenError("deadline-exceeded", message, { cause: error });
  }
}

interface WatchOptions extends ServerOptions, OutputOptions {}

export function addWatch(program: Command, finish: Finish): void {
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
          finish(exitCodeOfJob(await followed(intake, job!, reporter, signal)));
        }),
      ),
    ),
  );
}

interface CancelOptions extends ServerOptions {
  message?: string;
  json?: boolean;
}

export function addCancel(program: Command): void {
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
