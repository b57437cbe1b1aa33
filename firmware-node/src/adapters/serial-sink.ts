/** `--sink serial:…`: which port, how fast. */
import { join } from "node:path";
import { PlatenError } from "@platen/proto";
import { z } from "zod";
import type { EngineCapabilities, EngineDriver } from "../ports/engine-driver.ts";
import { openSerialEngine } from "./serial-engine.ts";
import { fileJournal } from "./serial-journal.ts";
import { ThreadedPacker } from "./serial-packer.ts";
import { type PortAddress, ReopeningPort } from "./serial-port.ts";

const querySchema = z.strictObject({
  baud: z.coerce.number().int().min(1200).max(12_000_000).default(3_000_000),
  /** Hardware flow control, for ports that have the wires. */
  rtscts: z.stringbool().default(false),
  /** An engine that has not answered by then is given up, seconds. Default: never, where that makes sense. */
  "wait-s": z.coerce.number().positive().max(3600).optional(),
});

function addressOf(text: string): PortAddress {
  const usb = /^usb-([0-9a-f]{4})-([0-9a-f]{4})$/i.exec(text);
  if (usb) return { kind: "usb", vendorId: usb[1]!.toLowerCase(), productId: usb[2]!.toLowerCase() };
  if (text !== "") return { kind: "path", path: text };
  throw new PlatenError(
    "configuration",
    "sink serial: name a port, as serial:/dev/ttyUSB0 or serial:usb-0403-6001",
  );
}

/** Who says nothing of `wait-s` waits so long, milliseconds: for any engine that is there, or before something is assumed of it. */
const patienceMs = { certain: 15_000, assumed: 3000 };

/**
 * The engine that `/dev/ttyUSB0?baud=3000000` or `usb-VVVV-PPPP?…` names; what is stacked is remembered in `stateDir`. An
 * engine that is not there is taken for `assumed` until it is. Throws `configuration`, and `engine-offline` when no engine
 * answers and nothing is assumed of it, or the sink says how long to wait.
 */
export async function openSerialSink(
  rest: string,
  stateDir: string,
  assumed?: EngineCapabilities,
): Promise<EngineDriver> {
  const at = rest.indexOf("?");
  const name = at < 0 ? rest : rest.slice(0, at);
  const query = querySchema.safeParse(
    Object.fromEntries(new URLSearchParams(at < 0 ? "" : rest.slice(at + 1))),
  );
  if (!query.success) {
    const mistakes = query.error.issues.map(({ path, message }) => [...path, message].join(": "));
    throw new PlatenError("configuration", `sink serial: ${mistakes.join("; ")}`);
  }
  const { baud: baudRateBps, rtscts, "wait-s": waitS } = query.data;
  const address = addressOf(name);
  const waits = assumed !== undefined && waitS === undefined;
  const file = `engine-${name.replaceAll(/[^A-Za-z0-9-]+/g, "_")}.json`;
  return openSerialEngine({
    port: new ReopeningPort({ address, baudRateBps, rtscts }),
    journal: fileJournal(join(stateDir, file)),
    baudRateBps,
    packer: new ThreadedPacker(),
    ...(waits
      ? { assumed, openTimeoutMs: patienceMs.assumed }
      : { openTimeoutMs: waitS === undefined ? patienceMs.certain : waitS * 1000 }),
  });
}
