/** How the command ends: exit codes that scripts can use, and errors as one line. */
import { type ErrorCode, JobState, PlatenError, toPlatenError } from "@platen/proto";
import { type Command, CommanderError } from "commander";

export const exitCodes = {
  done: 0,
  /** A job was aborted. */
  failed: 1,
  /** Wrong usage, or what was asked for is refused. */
  refused: 2,
  /** A job was canceled. */
  canceled: 3,
  /** The server cannot be reached, or the system failed. */
  system: 4,
  /** SIGINT or SIGTERM. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Hands a command's exit code to the program. */
export type Finish = (code: ExitCode) => void;

export const exitCodeHelp = `
Exit codes:
  0    done
  1    a job failed (aborted)
  2    wrong usage, or the ticket or the document was refused
  3    a job was canceled
  4    the server cannot be reached, or the system failed
  130  interrupted`;

/** Errors that are about what the user asked for, not about the system. */
const refusals: readonly ErrorCode[] = [
  "invalid-argument",
  "ticket-invalid",
  "ticket-unsupported",
  "document-damaged",
  "document-format",
  "document-too-large",
  "document-unknown",
  "document-used",
  "job-unknown",
  "printer-unknown",
  "printer-busy",
  "update-unknown",
  "update-invalid",
  "update-refused",
  "unauthenticated",
  "plaintext-refused",
  "configuration",
];

export function exitCodeOf(thrown: unknown): ExitCode {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.done : exitCodes.refused;
  const { code } = toPlatenError(thrown);
  if (code === "canceled") return exitCodes.interrupted;
  return refusals.includes(code) ? exitCodes.refused : exitCodes.system;
}

export function exitCodeOfJob(state: JobState): ExitCode {
  if (state === JobState.ABORTED) return exitCodes.failed;
  return state === JobState.CANCELED ? exitCodes.canceled : exitCodes.done;
}

const worstFirst = [exitCodes.failed, exitCodes.refused, exitCodes.canceled];

/** Of several jobs and refusals the worst counts. */
export const worstOf = (codes: readonly ExitCode[]): ExitCode =>
  worstFirst.find((code) => codes.includes(code)) ?? exitCodes.done;

/** What to say on standard error, without the line's end; undefined for what commander has said already. */
export function errorText(thrown: unknown, verbose: boolean): string | undefined {
  if (thrown instanceof CommanderError) return undefined;
  const error = toPlatenError(thrown);
  if (verbose) return `platen: ${error.code}: ${withCauses(error)}`;
  return `platen: ${error.message.replaceAll(/\s*\n\s*/g, "; ")}`;
}

/** A refusal of something that the user named, saying what. */
export const refusalOf = (name: string, error: PlatenError): PlatenError =>
  new PlatenError(error.code, `${name}: refused: ${error.message}`, { cause: error });

function withCauses(error: Error): string {
  const stack = error.stack ?? error.message;
  return error.cause instanceof Error ? `${stack}\ncaused by ${withCauses(error.cause)}` : stack;
}

/** What an interrupted command ends with; `what` says what becomes of what it began. */
export const interruption = (what = ""): PlatenError =>
  new PlatenError("canceled", what ? `interrupted: ${what}` : "interrupted");

/** Whether the user wants errors with their stacks. */
export const isVerbose = (command: Command): boolean =>
  command.optsWithGlobals<{ verbose?: boolean }>().verbose ?? Boolean(process.env["PLATEN_DEBUG"]);
