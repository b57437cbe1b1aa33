/** Programs that only convert, for a scale: no queue, no sessions, no printer. */
import { commandSeconds } from "../support/clock.ts";
import type { PrintRequest, PrintSystem } from "./print-system.ts";

const converter = (label: string, commandOf: (request: PrintRequest) => string): PrintSystem => ({
  label,
  async print(request) {
    const startedMs = performance.now();
    const cpuS = await commandSeconds(commandOf(request), process.cwd());
    if (cpuS === undefined) throw new Error(`${label} is not installed, or failed`);
    return { cpuS, wallS: (performance.now() - startedMs) / 1000 };
  },
  async [Symbol.asyncDispose]() {},
});

export const converters: readonly PrintSystem[] = [
  converter(
    "Ghostscript bitcmyk",
    ({ file, pages }) =>
      `gs -q -dBATCH -dNOPAUSE -dSAFER -r600 -sDEVICE=bitcmyk -sPAPERSIZE=a4 -dFIXEDMEDIA -dPDFFitPage -dLastPage=${pages} -o /dev/null '${file}'`,
  ),
  converter(
    "mutool pkm",
    ({ file, pages }) => `mutool draw -q -r 600 -c cmyk -F pkm -o /dev/null '${file}' 1-${pages}`,
  ),
];
