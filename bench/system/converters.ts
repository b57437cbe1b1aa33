/** Programs that only convert, for a scale: no queue, no sessions, no printer. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { endedChildrenSeconds } from "./processes.ts";
import type { PrintRequest, PrintSystem } from "./print-system.ts";

const run = promisify(execFile);

const converter = (
  label: string,
  commandOf: (request: PrintRequest) => [string, ...string[]],
): PrintSystem => ({
  label,
  async print(request) {
    const [program, ...args] = commandOf(request);
    const [cpuBefore, startedMs] = [await endedChildrenSeconds(), performance.now()];
    await run(program, args);
    const wallS = (performance.now() - startedMs) / 1000;
    return { wallS, cpuS: (await endedChildrenSeconds()) - cpuBefore };
  },
  async [Symbol.asyncDispose]() {},
});

export const converters: readonly PrintSystem[] = [
  converter("Ghostscript bitcmyk", ({ file, pages }) => [
    "gs",
    "-q",
    "-dBATCH",
    "-dNOPAUSE",
    "-dSAFER",
    "-r600",
    "-sDEVICE=bitcmyk",
    "-sPAPERSIZE=a4",
    "-dFIXEDMEDIA",
    "-dPDFFitPage",
    `-dLastPage=${pages}`,
    "-o",
    "/dev/null",
    file,
  ]),
  converter("mutool pkm", ({ file, pages }) => [
    "mutool",
    "draw",
    "-q",
    "-r",
    "600",
    "-c",
    "cmyk",
    "-F",
    "pkm",
    "-o",
    "/dev/null",
    file,
    `1-${pages}`,
  ]),
];
