/**
 * Runs the board's app, whichever version it is: starts it, restarts it when it ends or falls silent, and judges a version on
 * trial. Knows nothing of printing, so that no version of the app can keep the one before from coming back.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { PlatenError, toPlatenError } from "@platen/proto";
import type { Board, Start } from "./board.ts";
import { type Check, checks, messageSchema, refusedCode, restartCode } from "./supervised.ts";

export interface LauncherOptions {
  readonly board: Board;
  /** Arguments of the app. */
  readonly args: readonly string[];
  /** Node of the image, for versions that need the one that runs this. */
  readonly node: string;
  /** Arguments of Node itself, before the app. */
  readonly nodeArgs?: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** A trial must be healthy after so long, milliseconds. */
  readonly trialLimitMs: number;
  /** An app that says nothing for so long hangs, milliseconds. */
  readonly silenceLimitMs: number;
  /** How long an app may take to end when told, milliseconds. */
  readonly stopLimitMs: number;
  /** Between restarts of an app that keeps ending by itself: the first wait, doubled up to a minute, milliseconds. */
  readonly restartDelayMs: number;
  readonly log: (line: string) => void;
  /** Whether the system below is on trial: then no bad end of a version that was kept is held against it. */
  readonly isSystemOnTrial?: () => Promise<boolean>;
}

/** How one start of an app ended. */
type Ending =
  | { readonly kind: "exit"; readonly text: string; readonly code: number | null }
  | { readonly kind: "silent" }
  | { readonly kind: "late"; readonly missing: readonly Check[] };

const restartDelayMaxMs = 60_000;
/** A version that passed its trial and then ends badly so often in a row is given up for the one before it. */
const badEndsMax = 5;

/** Runs apps until `signal` aborts; then ends the one that runs. Throws `configuration` when there is none to start. */
export async function launch(options: LauncherOptions, signal: AbortSignal): Promise<void> {
  const { board, log } = options;
  let delayMs = options.restartDelayMs;
  // Of a start that this launcher did not see the end of.
  let lastEnd = "ended, and the launcher with it";
  while (!signal.aborted) {
    const start = await board.next();
    const { version } = start.slot.manifest;
    if (start.badEnds >= badEndsMax && !(await options.isSystemOnTrial?.())) {
      const reason = `version ${version} ${lastEnd}, the ${start.badEnds}th time in a row`;
      const before = await board.goBack(reason);
      if (before) {
        log(`${reason}: back to version ${before.manifest.version}`);
        delayMs = options.restartDelayMs;
        continue;
      }
    }
    log(start.trial ? `trying version ${version}` : `starting version ${version}`);
    const began = performance.now();
    const { ending, healthy } = await runOnce(start, options, signal);
    if (signal.aborted) return;
    const text = textOf(ending, options);
    if (start.trial && !healthy) {
      const outcome = isUnlucky(ending) ? "interrupted" : "failed";
      log(`version ${version} ${text}: back to the one before`);
      await board.judge(outcome, `version ${version} ${text}`);
      continue;
    }
    const code = ending.kind === "exit" ? ending.code : null;
    if (code === restartCode || code === refusedCode) await board.endedInOrder();
    if (code === restartCode) {
      delayMs = options.restartDelayMs;
      continue;
    }
    lastEnd = text;
    log(`version ${version} ${text}`);
    if (performance.now() - began > restartDelayMaxMs) delayMs = options.restartDelayMs;
    await pause(delayMs, signal);
    delayMs = Math.min(2 * delayMs, restartDelayMaxMs);
  }
}

/** The version did what it could: it was the backend or the engine that could not be reached. */
const isUnlucky = (ending: Ending): boolean => ending.kind === "late" && !ending.missing.includes("pattern");

function textOf(ending: Ending, options: LauncherOptions): string {
  switch (ending.kind) {
    case "exit":
      return ending.text;
    case "silent":
      return `hung: nothing was heard of it for ${options.silenceLimitMs / 1000} s`;
    case "late":
      return `was not healthy after ${options.trialLimitMs / 1000} s: no ${ending.missing.join(", no ")}`;
  }
}

/** Node for the version: the runtime it was made for, or the image's own where that is the same. */
async function nodeFor({ slot }: Start, { board, node }: LauncherOptions): Promise<string> {
  const { version, sha256 } = slot.manifest.runtime;
  const own = await board.runtime(sha256);
  if (own) return own;
  if (version === process.versions.node) return node;
  throw new PlatenError("update-refused", `needs Node ${version}, which the board does not have`);
}

async function runOnce(
  start: Start,
  options: LauncherOptions,
  signal: AbortSignal,
): Promise<{ ending: Ending; healthy: boolean }> {
  const { board, args, nodeArgs = [], env, silenceLimitMs, trialLimitMs } = options;
  const ended = Promise.withResolvers<Ending>();
  const exit = (text: string, code: number | null = null) => ended.resolve({ kind: "exit", text, code });
  let child: ChildProcess;
  try {
    const node = await nodeFor(start, options);
    const { folder, manifest } = start.slot;
    child = spawn(node, [...nodeArgs, join(folder, manifest.main), ...args], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      env: { ...env, PLATEN_BOARD: board.root, PLATEN_TRIAL: start.trial ? "1" : "" },
    });
  } catch (error) {
    const text = `cannot be started: ${toPlatenError(error).message}`;
    return { ending: { kind: "exit", text, code: null }, healthy: false };
  }
  // An app that hangs is this launcher's to end: systemd's watchdog is for the launcher, and counts anew for each start.
  notify("WATCHDOG=1");
  let missing: readonly Check[] = checks;
  let healthy = false;
  let failing = "";
  let judging = Promise.resolve();
  const silence = setTimeout(() => ended.resolve({ kind: "silent" }), silenceLimitMs);
  const late = setTimeout(() => ended.resolve({ kind: "late", missing }), trialLimitMs);
  if (!start.trial) {
    clearTimeout(late);
    notify("READY=1");
  }
  child.on("message", (given) => {
    const { data: message } = messageSchema.safeParse(given);
    if (!message) return;
    silence.refresh();
    notify("WATCHDOG=1");
    if (message.platen === "failing") failing = `: ${message.reason}`;
    if (message.platen !== "health") return;
    missing = message.missing;
    if (missing.length > 0 || healthy) return;
    healthy = true;
    clearTimeout(late);
    if (!start.trial) return;
    options.log(`version ${start.slot.manifest.version} is healthy and stays`);
    judging = board.judge("good", "").catch((error: Error) => exit(`cannot be kept: ${error.message}`));
    notify("READY=1");
  });
  child.on("error", (error) => exit(`cannot be started: ${error.message}`));
  child.on("exit", (code, killer) =>
    exit(killer ? `was ended by ${killer}` : `ended with code ${code}${failing}`, code),
  );
  const stop = () => exit("was told to stop");
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  const ending = await ended.promise;
  signal.removeEventListener("abort", stop);
  clearTimeout(silence);
  clearTimeout(late);
  await judging;
  // Before the app has ended: who told the launcher to may lose patience with both.
  if (signal.aborted) await board.endedInOrder();
  await end(child, ending.kind === "exit" ? options.stopLimitMs : 0);
  return { ending, healthy };
}

/** Ends the process if it still runs: politely for so long, then at once. */
function end(child: ChildProcess, patienceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined)
    return Promise.resolve();
  return new Promise((resolve) => {
    const force = setTimeout(() => child.kill("SIGKILL"), patienceMs);
    child.once("exit", () => {
      clearTimeout(force);
      resolve();
    });
    if (patienceMs > 0) child.kill("SIGTERM");
  });
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal.addEventListener("abort", over);
  });

/** Tells systemd, where it wants to know (sd_notify; its unit needs NotifyAccess=all). */
function notify(state: "READY=1" | "WATCHDOG=1"): void {
  if (!process.env["NOTIFY_SOCKET"] || (state === "WATCHDOG=1" && !process.env["WATCHDOG_USEC"])) return;
  execFile("systemd-notify", [state], () => {});
}
