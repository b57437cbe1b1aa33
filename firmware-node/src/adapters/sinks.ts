/**
 * The engines that `--sink` names:
 *
 *     png:DIR                  sheets as PNG files, a folder a job
 *     sim:[DIR][?OPTIONS]      a simulated engine, its sheets as PNG files where DIR is given
 *     serial:PORT[?OPTIONS]    an engine on a serial line (serial-sink.ts)
 */
import { EngineModel, type Trouble } from "@platen/hw";
import { PlatenError } from "@platen/proto";
import { z } from "zod";
import type { Colorant, EngineCapabilities, EngineDriver } from "../ports/engine-driver.ts";
import { PngSink } from "./png-sink.ts";
import { openSerialSink } from "./serial-sink.ts";
import { SimulatedEngine } from "./simulated-engine.ts";

export interface SinkOptions {
  /** Folder for what a driver must remember across a power cut. */
  readonly stateDir: string;
  /** Black alone. */
  readonly mono: boolean;
  readonly resolutionsDpi: readonly number[];
  readonly duplex: boolean;
  /** An engine must answer before anything else is done. */
  readonly mustAnswer?: boolean;
}

const count = z.coerce.number().int().min(0);
const positive = z.coerce.number().int().min(1);

/** What a simulated engine can be told, as `?paper=3&jam-at-sheet=2&clear-after-ms=500`. Sheets are counted as they are fed. */
const simulationSchema = z.strictObject({
  /** Sheets in the tray, also after somebody has filled it. */
  paper: positive.optional(),
  /** Sheets that the output tray holds. */
  output: positive.optional(),
  /** Dots that a tank of each ink gives. */
  ink: positive.optional(),
  "jam-at-sheet": positive.optional(),
  "cover-at-sheet": positive.optional(),
  "fault-at-sheet": positive.optional(),
  /** Somebody presses cancel on the engine. */
  "cancel-at-sheet": positive.optional(),
  /** Somebody sees to whatever is wrong after so long; without it nobody does. */
  "clear-after-ms": count.optional(),
});

const troubleOf: Readonly<Record<string, Trouble | "cancel-pressed">> = {
  "jam-at-sheet": "media-jam",
  "cover-at-sheet": "cover-open",
  "fault-at-sheet": "engine-fault",
  "cancel-at-sheet": "cancel-pressed",
};

const capabilitiesOf = (makeAndModel: string, options: SinkOptions): EngineCapabilities => {
  const colorants: Colorant[] = options.mono ? ["black"] : ["cyan", "magenta", "yellow", "black"];
  return {
    makeAndModel,
    colorants,
    resolutionsDpi: [...options.resolutionsDpi].sort((a, b) => a - b),
    duplex: options.duplex,
  };
};

function simulatedEngine(rest: string, options: SinkOptions): SimulatedEngine {
  const at = rest.indexOf("?");
  const root = at < 0 ? rest : rest.slice(0, at);
  const query = Object.fromEntries(new URLSearchParams(at < 0 ? "" : rest.slice(at + 1)));
  const parsed = simulationSchema.safeParse(query);
  if (!parsed.success) {
    const mistakes = parsed.error.issues.map(({ path, message }) => [...path, message].join(": "));
    throw new PlatenError("configuration", `sink sim: ${mistakes.join("; ")}`);
  }
  const { paper, output, ink, "clear-after-ms": clearAfterMs, ...appointments } = parsed.data;
  const capabilities = capabilitiesOf("Platen simulated engine", options);
  const model = new EngineModel({
    inks: capabilities.colorants,
    ...(paper !== undefined && { paperSheets: paper }),
    ...(output !== undefined && { outputSheets: output }),
    ...(ink !== undefined && { inkDots: ink }),
  });
  for (const [name, sheet] of Object.entries(appointments)) {
    if (sheet !== undefined) model.failAtSheet(troubleOf[name]!, sheet);
  }
  return new SimulatedEngine(model, capabilities, { root: root || undefined, clearAfterMs });
}

/**
 * The engine that `sink` names. What a real engine can do it says itself; until it answers, the options are believed. Throws
 * `configuration`, and `engine-offline` when none answers on a serial line and that is not to be waited for.
 */
export async function openSink(sink: string, options: SinkOptions): Promise<EngineDriver> {
  const at = sink.indexOf(":");
  const kind = sink.slice(0, Math.max(at, 0));
  const rest = sink.slice(at + 1);
  switch (kind) {
    case "png":
      if (!rest) throw new PlatenError("configuration", "sink png: needs a folder, as in png:sheets");
      return new PngSink(rest, capabilitiesOf("Platen PNG sink", options));
    case "sim":
      return simulatedEngine(rest, options);
    case "serial":
      return openSerialSink(
        rest,
        options.stateDir,
        options.mustAnswer ? undefined : capabilitiesOf("engine that has not answered yet", options),
      );
    default:
      throw new PlatenError(
        "configuration",
        `sink ${JSON.stringify(sink)} is none of png:DIR, sim: and serial:PORT`,
      );
  }
}
