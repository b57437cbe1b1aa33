/** A printer with the PNG sink, in a process of its own: the firmware as it runs on a controller. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { PlatenError } from "@platen/proto";

export interface PrinterSettings {
  readonly printerId: string;
  /** `host:port` of the job controller. */
  readonly backend: string;
  /** Where the sheets go, a folder a job. */
  readonly outDir: string;
  readonly color: boolean;
  /** Folder of what the printer keeps over restarts. */
  readonly stateDir: string;
  readonly enrolmentKey: string;
}

export interface PrinterProcess extends AsyncDisposable {
  /** Resolves when the backend knows the printer. */
  readonly registered: Promise<void>;
  /** Rejects when the process ends though nobody told it to. */
  readonly failed: Promise<never>;
}

const stopTimeoutMs = 5000;
/** How much of what the printer says on standard error is kept, to say why it ended. */
const maxErrorLines = 5;

function firmwareMain(): string {
  try {
    return fileURLToPath(import.meta.resolve("@platen/firmware-node/main"));
  } catch (cause) {
    throw new PlatenError(
      "configuration",
      "the printer's firmware (@platen/firmware-node) is not installed",
      { cause },
    );
  }
}

/** Ends a printer whose command was killed before it could end it: its standard input closes then. */
const endWithParent = "data:text/javascript,process.stdin.on('close',()=>process.exit()).resume().unref()";

/** What the user set for printers and servers of his own is not meant for this one. */
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PLATEN_")));

/** Starts a printer in polling mode. Disposing ends the process. */
export function startPrinter(settings: PrinterSettings): PrinterProcess {
  const { printerId, backend, outDir, color, stateDir, enrolmentKey } = settings;
  const where = [
    "--printer-id",
    printerId,
    "--backend",
    backend,
    "--sink",
    `png:${outDir}`,
    "--state-dir",
    stateDir,
  ];
  const args = ["--import", endWithParent, firmwareMain(), "--json", ...where, ...(color ? [] : ["--mono"])];
  const child = spawn(process.execPath, args, {
    stdio: ["pipe", "pipe", "pipe"],
    // In a process group of its own: Ctrl-C is for this process, which cancels the job before it ends the printer.
    detached: true,
    // The key is not on the command line, where every user of the machine could read it.
    env: { ...environment(), PLATEN_PRINTER_ENROLMENT_KEY: enrolmentKey },
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const exited = once(child, "exit").finally(() => process.off("exit", kill));

  const errors: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    errors.push(line);
    if (errors.length > maxErrorLines) errors.shift();
  });
  const registered = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (isRegistered(line)) registered.resolve();
  });

  let stopping = false;
  const failed = exited.then(
    ([code, signal]) => {
      if (stopping) return new Promise<never>(() => {});
      const why = errors.join("; ") || (signal ? `by ${signal}` : `exit code ${code}`);
      throw new PlatenError("printer-unreachable", `the printer ended: ${why}`);
    },
    (cause: unknown) => {
      throw new PlatenError("configuration", "the printer could not be started", { cause });
    },
  );
  failed.catch(() => {});
  return {
    registered: Promise.race([registered.promise, failed]),
    failed,
    [Symbol.asyncDispose]: async () => {
      stopping = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const timer = setTimeout(kill, stopTimeoutMs);
      await exited.catch(() => {});
      clearTimeout(timer);
    },
  };
}

function isRegistered(line: string): boolean {
  try {
    const event: unknown = JSON.parse(line);
    return typeof event === "object" && event !== null && "event" in event && event.event === "registered";
  } catch {
    return false;
  }
}
