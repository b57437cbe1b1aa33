/** The `platen-printer` command: settings from flags, environment and file, events as lines, signals, exit codes. */
import { toJson } from "@bufbuild/protobuf";
import {
  type ErrorCode,
  JobState,
  JobStateSchema,
  PrinterStateReason,
  PrintStatusSchema,
  readSettingsFile,
  toPlatenError,
} from "@platen/proto";
import { Command, CommanderError, Option } from "commander";
import { addCalibrate } from "./calibration/command.ts";
import { type PrinterConfig, parsePrinterConfig, printerConfigSchema } from "./config.ts";
import type { PrinterEvent } from "./start.ts";
import { keepSayingAlive, restartCode, sayFailing, supervision } from "./updates/supervised.ts";
import { version } from "./version.ts";

type Settings = Record<string, unknown>;

/** A setting: `tlsCert` is --tls-cert and PLATEN_PRINTER_TLS_CERT. */
interface Field {
  readonly key: string;
  /** Without the dashes before it; commander turns it back into `key`. */
  readonly flag: string;
  readonly variable: string;
  readonly isSwitch: boolean;
  readonly description: string;
}

const flagOf = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const fields: readonly Field[] = Object.entries(printerConfigSchema.shape).map(([key, type]) => {
  const flag = flagOf(key);
  const byDefault = type.safeParse(undefined).data;
  const isSwitch = typeof byDefault === "boolean";
  const note =
    byDefault === undefined || isSwitch || byDefault === "" ? "" : ` (default: ${String(byDefault)})`;
  return {
    key,
    flag,
    variable: `PLATEN_PRINTER_${flag.toUpperCase().replaceAll("-", "_")}`,
    isSwitch,
    description: `${type.description}${note}`,
  };
});

/** Flags go before variables, variables before the file, the file before defaults. Throws `configuration`. */
export async function readConfig(flags: Settings, env: NodeJS.ProcessEnv): Promise<PrinterConfig> {
  const file = flags["config"] ?? env["PLATEN_PRINTER_CONFIG"];
  const settings = typeof file === "string" ? await readSettingsFile(file) : {};
  for (const { key, variable } of fields) {
    const value = flags[key] ?? env[variable];
    if (value !== undefined) settings[key] = value;
  }
  return parsePrinterConfig(settings, (key) => `--${flagOf(key)}`);
}

const stateNames = new Map(JobStateSchema.values.map(({ number, name }) => [number, name]));

/** "processing-stopped" for JOB_STATE_PROCESSING_STOPPED. */
const stateName = (state: JobState): string =>
  (stateNames.get(state) ?? String(state)).replace("JOB_STATE_", "").toLowerCase().replaceAll("_", "-");

/** An event as one line for people; undefined for what they need not see. */
function lineOf(event: PrinterEvent): string | undefined {
  switch (event.kind) {
    case "listening":
      return `listening on ${event.address}`;
    case "registered":
      return "registered with the backend";
    case "backend-unreachable":
      return `the backend is out of reach and will be tried again: ${event.message}`;
    case "update":
      return event.message;
    case "refused":
      return `refused: ${event.error.message}`;
    case "engine":
      if (event.event.kind === "stopped") {
        const isLookedFor = event.event.reasons.includes(PrinterStateReason.CONNECTING_TO_DEVICE);
        const what = isLookedFor
          ? "the engine is out of reach and will be tried again"
          : "the engine stopped";
        return `${what}: ${event.event.message}`;
      }
      if (event.event.kind === "capabilities")
        return `the engine is ${event.event.capabilities.makeAndModel}`;
      return event.event.kind === "cancel-pressed" ? "cancel was pressed at the engine" : undefined;
    case "print": {
      const { session, state, message, outputLocation } = event.status;
      const where = state === JobState.COMPLETED && outputLocation ? ` to ${outputLocation}` : "";
      return `job ${session?.jobId}: ${stateName(state)}: ${message}${where}`;
    }
  }
}

/** An event as one JSON object, named by `event`. */
function jsonOf(event: PrinterEvent): object {
  switch (event.kind) {
    case "print":
      return { event: "print", ...(toJson(PrintStatusSchema, event.status) as object) };
    case "refused":
      return { event: "refused", code: event.error.code, message: event.error.message };
    case "engine": {
      const { kind: engineEvent, ...rest } = event.event;
      return { event: "engine", engineEvent, ...rest };
    }
    default: {
      const { kind, ...rest } = event;
      return { event: kind, ...rest };
    }
  }
}

const exitCodes = { done: 0, refused: 2, system: 4, interrupted: 130 } as const;

/** Errors that somebody has to see to before another attempt makes sense. */
const refusals: readonly ErrorCode[] = [
  "configuration",
  "invalid-argument",
  "plaintext-refused",
  "printer-taken",
  "unauthenticated",
  "unimplemented",
];

const help = `
Every flag may be given as a variable too: --printer-id is PLATEN_PRINTER_PRINTER_ID. Flags go before variables, variables
before the JSON file of --config, whose fields are named as flags in camel case: {"printerId": "office"}.

Examples:
  platen-printer --printer-id office --backend 127.0.0.1:6310 --sink png:sheets
  platen-printer --printer-id hall --backend 127.0.0.1:6310 --mode push --sink "sim:sheets?paper=3&clear-after-ms=2000"
  platen-printer --printer-id shop --backend 127.0.0.1:6310 --sink "serial:/dev/ttyUSB0?baud=3000000"
  platen-printer --printer-id roof --backend print.example:6310 --tls-ca ca.pem --enrolment-key "$KEY"

Exit codes:
  0    stopped by SIGINT or SIGTERM
  2    wrong usage, or the backend refuses the printer
  4    the system failed
  75   started by platen-boot: start me again, there is another version to try
  130  stopped at once by a second signal`;

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
function interrupted(): Promise<void> {
  const first = Promise.withResolvers<void>();
  let count = 0;
  const interrupt = () => {
    if (++count > 1) process.exit(exitCodes.interrupted);
    first.resolve();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  return first.promise;
}

/** Serial ports that an engine may be on, and how `--sink` names them. */
async function listPorts(json: boolean): Promise<void> {
  const { listPorts: find } = await import("./adapters/serial-port.ts");
  const ports = await find();
  if (json) {
    for (const port of ports) process.stdout.write(`${JSON.stringify(port)}\n`);
    return;
  }
  if (ports.length === 0) process.stdout.write("platen-printer: no serial port\n");
  for (const { path, vendorId, productId, manufacturer, serialNumber } of ports) {
    const usb = vendorId && productId ? `  serial:usb-${vendorId}-${productId}` : "";
    const who = [manufacturer, serialNumber].filter(Boolean).join(", ");
    process.stdout.write(`serial:${path}${usb}${who ? `  (${who})` : ""}\n`);
  }
}

/** Resolves to the exit code. */
async function work(flags: Settings): Promise<number> {
  if (flags["listPorts"] === true) {
    await listPorts(flags["json"] === true);
    return exitCodes.done;
  }
  const supervised = supervision(process.env);
  using _alive = supervised && keepSayingAlive();
  const config = await readConfig(flags, process.env);
  const json = flags["json"] === true;
  const say = (line: string) => process.stdout.write(`${line}\n`);
  const onEvent = (event: PrinterEvent) => {
    const line = json ? JSON.stringify(jsonOf(event)) : lineOf(event);
    if (line !== undefined) say(json ? line : `platen-printer: ${line}`);
  };
  const stop = interrupted();
  // Help and mistakes need nothing of it, and come quicker without.
  const { startPrinter } = await import("./start.ts");
  await using printer = await startPrinter(config, { onEvent, supervision: supervised });
  const code = await Promise.race([
    stop.then(() => exitCodes.done),
    printer.failed,
    printer.restart.then(() => restartCode),
  ]);
  say(json ? JSON.stringify({ event: "stopping" }) : "platen-printer: stopping");
  return code;
}

/** Runs the command until it is stopped. Resolves to its exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  let exitCode: number = exitCodes.done;
  const command = new Command("platen-printer")
    .description(
      "A printer of the Platen cloud print system: takes jobs from a backend and drives a print engine.",
    )
    .version(version)
    .option("--config <file>", "JSON file of settings")
    .option("--json", "one JSON object a line on standard output")
    .option("--list-ports", "say which serial ports there are, and end")
    .addHelpText("after", help)
    .enablePositionalOptions()
    .exitOverride()
    .action(async (flags: Settings) => {
      exitCode = await work(flags);
    });
  addCalibrate(command);
  for (const { flag, isSwitch, description } of fields) {
    command.addOption(new Option(isSwitch ? `--${flag}` : `--${flag} <value>`, description));
  }
  try {
    await command.parseAsync(argv, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.refused;
    const { code, message } = toPlatenError(error);
    sayFailing(message);
    process.stderr.write(`platen-printer: ${message.replaceAll("\n", "\nplaten-printer: ")}\n`);
    return refusals.includes(code) ? exitCodes.refused : exitCodes.system;
  }
}
