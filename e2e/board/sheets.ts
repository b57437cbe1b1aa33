/** Sheets as dots: what a printer on this machine makes of a job, to hold the board's against. */
import { join } from "node:path";
import type { StackedSheet } from "@platen/hw";
import { ptyLine } from "@platen/hw/link";
import { enrolmentKey, startBackend } from "./backend.ts";
import { dpi, document, media } from "./document.ts";
import type { StartMachine, TraySheet } from "./machines.ts";
import { startProgram } from "./processes.ts";

/**
 * The sheets of the document of so many pages, printed by `platen-printer` on this machine, over a pseudo-terminal to an engine
 * of the same kind, from a backend of its own.
 */
export async function printedHere(
  folder: string,
  pages: number,
  start: StartMachine,
  signal: AbortSignal,
): Promise<readonly TraySheet[]> {
  await using backend = await startBackend(folder, "127.0.0.1", () => {});
  const tty = join(folder, "engine");
  await using line = await ptyLine(tty);
  await using machine = await start((bytes) => line.write(bytes));
  line.onBytes((bytes) => machine.receive(bytes));
  const printer = [
    "--printer-id",
    "here",
    "--backend",
    `127.0.0.1:${backend.port}`,
    "--tls-ca",
    backend.caFile,
  ];
  const engine = ["--sink", `serial:${tty}`, "--resolution", String(dpi), "--media", media];
  const state = ["--state-dir", join(folder, "state"), "--enrolment-key", enrolmentKey];
  await using running = startProgram("firmware-node/src/main.ts", [
    "--json",
    ...printer,
    ...engine,
    ...state,
  ]);
  await running.line((said) => said.includes('"registered"'));
  const jobId = await backend.submit("here", document(pages), signal);
  await backend.ended(jobId, signal);
  return [...machine.tray];
}

/** Where two sheets differ, for people; undefined when every dot of them is the same. */
export function difference({ content: one }: TraySheet, { content: other }: TraySheet): string | undefined {
  if (typeof one !== "number" && typeof other !== "number") return firstDifference(one, other);
  return one === other ? undefined : `digest ${String(one)} and not ${String(other)}`;
}

function firstDifference(one: StackedSheet, other: StackedSheet): string | undefined {
  if (one.sides.length !== other.sides.length)
    return `${one.sides.length} sides and not ${other.sides.length}`;
  for (const [index, side] of one.sides.entries()) {
    const { widthPx, heightPx, strideBytes, planes } = other.sides[index]!;
    if (side.widthPx !== widthPx || side.heightPx !== heightPx) {
      return `${side.widthPx} × ${side.heightPx} and not ${widthPx} × ${heightPx} dots`;
    }
    for (const [ink, bits] of side.planes) {
      const wanted = planes.get(ink)!;
      if (Buffer.compare(bits, wanted) === 0) continue;
      const at = bits.findIndex((byte, position) => byte !== wanted[position]);
      return `${ink} at row ${Math.floor(at / strideBytes)}, byte ${at % strideBytes}`;
    }
  }
  return undefined;
}
