/** Sheets as dots: what a printer on this machine makes of a job, to hold the board's against. */
import { join } from "node:path";
import { EngineModel, type StackedSheet } from "@platen/hw";
import { attachEngine, ptyLine } from "@platen/hw/link";
import { enrolmentKey, startBackend } from "./backend.ts";
import { dpi, document, media } from "./document.ts";
import { mechanics } from "./engine.ts";
import { startProgram } from "./processes.ts";

/**
 * The sheets of the document of so many pages, printed by `platen-printer` on this machine, over a pseudo-terminal to an engine
 * of the same kind, from a backend of its own.
 */
export async function printedHere(
  folder: string,
  pages: number,
  signal: AbortSignal,
): Promise<readonly StackedSheet[]> {
  await using backend = await startBackend(folder, "127.0.0.1", () => {});
  const tty = join(folder, "engine");
  await using line = await ptyLine(tty);
  const model = new EngineModel({ keepSheets: true });
  using _engine = attachEngine(line, model, { mechanics });
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
  return model.sheets;
}

/** Where two sheets differ first, for people; undefined when every dot of them is the same. */
export function difference(one: StackedSheet, other: StackedSheet): string | undefined {
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
