/** What a user sees of a running server: its jobs, its printers. */
import { toJson } from "@bufbuild/protobuf";
import { timestampDate, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Job,
  JobSchema,
  JobState,
  PrinterAdminService,
  PrinterMode,
  PrinterState,
  PrinterStateReasonSchema,
  type RegisteredPrinter,
  RegisteredPrinterSchema,
  UpdatePhase,
  type UpdateStatus,
} from "@platen/proto";
import { type Command, InvalidArgumentError } from "commander";
import { stateName } from "../domain/job.ts";
import {
  addServerOptions,
  callTimeoutMs,
  type IntakeClient,
  type ServerOptions,
  withIntake,
  withServer,
} from "./connection.ts";
import { exitCodeHelp } from "./exit.ts";
import { addOperatorOptions, operatorCall, type OperatorOptions } from "./operator.ts";
import { writeJson } from "./reporter.ts";
import { table } from "./table.ts";

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

export function addJobs(program: Command): void {
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
  time ? `${timestampDate(time).toISOString().slice(0, 19).replace("T", " ")}Z` : "";

function jobRow(job: Job): string[] {
  const { jobId, printerId, userName, impressions, impressionsCompleted, createTime, jobName } = job;
  const all = impressions * (job.ticket?.copies || 1);
  const printed = all ? `${impressionsCompleted}/${all}` : "";
  const reason = job.state === JobState.ABORTED ? ` (${job.errorCode})` : "";
  return [jobId, stateName(job.state) + reason, printerId, userName, printed, timeText(createTime), jobName];
}

export function addPrinters(program: Command): void {
  const command = program
    .command("printers")
    .summary("list the printers that have registered, remove one")
    .description("Lists the printers that have registered, and how they are.")
    .option("--json", "one JSON object a line")
    .addHelpText(
      "after",
      `\nExamples:\n  platen printers --server print.example.org:6310 --tls\n  platen printers remove office\n${exitCodeHelp}`,
    );
  addOperatorOptions(
    command
      .command("remove")
      .description(
        "Forgets a printer that is gone, so that another may register under its name. One that still runs registers again.",
      )
      .argument("<id>"),
  ).action(async (printerId: string, _options: OperatorOptions, remove: Command) => {
    // Options that `printers` has too are taken by it, wherever they stand.
    const options = remove.optsWithGlobals<OperatorOptions>();
    await withServer(options, PrinterAdminService, (admin) =>
      admin.removePrinter({ printerId }, operatorCall(options)),
    );
    process.stdout.write(`${printerId} is removed\n`);
  });
  addServerOptions(command).action((options: ServerOptions & { json?: boolean }) =>
    withIntake(options, async (intake) => {
      const { printers } = await intake.listPrinters({}, { timeoutMs: callTimeoutMs });
      if (options.json) {
        for (const one of printers) writeJson(process.stdout, toJson(RegisteredPrinterSchema, one) as object);
      } else {
        const headings = [
          "PRINTER",
          "STATE",
          "MODE",
          "COLOR",
          "DPI",
          "SUPPLIES",
          "SEEN",
          "SOFTWARE",
          "MODEL",
        ];
        const nowMs = Date.now();
        process.stdout.write(
          table(
            headings,
            printers.map((one) => printerRow(one, nowMs)),
          ),
        );
      }
    }),
  );
}

const printerStates: Readonly<Record<number, string>> = {
  [PrinterState.IDLE]: "idle",
  [PrinterState.PROCESSING]: "processing",
  [PrinterState.STOPPED]: "stopped",
};

const updateTexts: Readonly<Record<number, string>> = {
  [UpdatePhase.DOWNLOADING]: "downloading",
  [UpdatePhase.VERIFYING]: "verifying",
  [UpdatePhase.INSTALLING]: "installing",
  [UpdatePhase.WAITING]: "waiting for idle",
  [UpdatePhase.TRYING]: "trying",
  [UpdatePhase.ROLLED_BACK]: "rolled back",
  [UpdatePhase.REFUSED]: "refused",
};

/** The version that runs and what is done about it; of a printer that keeps its system current too, after a comma. */
export function softwareText({ capabilities, update, system }: RegisteredPrinter): string {
  const app = update ? statusText(update) : (capabilities?.firmwareVersion ?? "");
  return system ? `${app}, system ${statusText(system)}` : app;
}

function statusText(update: UpdateStatus): string {
  const { version, phase, targetVersion, percent, message } = update;
  const step = updateTexts[phase];
  if (!step) return message ? `${version} (${message})` : version;
  const progress = phase === UpdatePhase.DOWNLOADING ? ` ${percent} %` : "";
  return `${version} (${targetVersion} ${step}${progress}${message ? `: ${message}` : ""})`;
}

/** What is left of each ink that the engine can tell of, by initial: `C 80 M 7 Y 100 K 42 %`. */
function suppliesText({ status }: RegisteredPrinter): string {
  const known = (status?.markerSupplies ?? []).filter(({ levelPercent }) => levelPercent !== undefined);
  const initial = (colorant: string) => (colorant === "black" ? "K" : colorant.slice(0, 1).toUpperCase());
  const levels = known.map(({ colorant, levelPercent }) => `${initial(colorant)} ${levelPercent}`);
  return levels.length > 0 ? `${levels.join(" ")} %` : "";
}

/** Printers poll every 30 s, or register anew every minute. */
const silentMs = 3 * 60_000;

const ageUnits = [
  [24 * 3_600_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1000, "s"],
] as const;

/** `7 min`: in the largest unit of which it is at least two, in seconds otherwise. */
function ageText(ageMs: number): string {
  const [ms, unit] = ageUnits.find(([ms]) => ageMs >= 2 * ms) ?? ageUnits[3];
  return `${Math.max(0, Math.floor(ageMs / ms))} ${unit}`;
}

/** How the printer is, and when it was last heard of; what one said that has fallen silent since counts for nothing. */
export function presence({ status, seenTime }: RegisteredPrinter, nowMs: number): [string, string] {
  const ageMs = seenTime ? nowMs - timestampMs(seenTime) : 0;
  if (ageMs >= silentMs) return ["offline", `not for ${ageText(ageMs)}`];
  const reasons = (status?.stateReasons ?? []).map((reason) =>
    (PrinterStateReasonSchema.value[reason]?.localName ?? String(reason)).toLowerCase().replaceAll("_", "-"),
  );
  const state = printerStates[status?.state ?? 0] ?? "unknown";
  return [
    reasons.length ? `${state} (${reasons.join(", ")})` : state,
    seenTime ? `${ageText(ageMs)} ago` : "",
  ];
}

function printerRow(printer: RegisteredPrinter, nowMs: number): string[] {
  const { printerId, capabilities, mode } = printer;
  const [state, seen] = presence(printer, nowMs);
  return [
    printerId,
    state,
    mode === PrinterMode.PUSH ? "push" : "poll",
    capabilities?.colorSupported ? "yes" : "no",
    capabilities?.resolutionsDpi.join(",") ?? "",
    suppliesText(printer),
    seen,
    softwareText(printer),
    capabilities?.makeAndModel ?? "",
  ];
}
