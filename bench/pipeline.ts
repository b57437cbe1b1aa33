/**
 * `npm run bench -- pipeline`: what printing a page takes of the controller. The real `platen-printer` prints from a result
 * store beside it, bundled as on the board and as it stands in the sources. A4 at 600 dpi, and a roll of ten metres. The photo
 * comes from PLATEN_SHARED (default ../shared)/images.
 */
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundlePrograms } from "../hw/flash/src/bundler.ts";
import { bandedPages, roll } from "./pipeline/pages.ts";
import { type Printing, printInProcess } from "./pipeline/printing.ts";

const root = join(import.meta.dirname, "..");
const source = join(root, "firmware-node", "src", "main.ts");

async function bundle(folder: string): Promise<string> {
  await mkdir(folder);
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const external = ["sharp", "@serialport/bindings-cpp", "lcms-wasm"];
  await bundlePrograms({ root, programs: { main: source }, folder, external });
  return join(folder, "main.js");
}

const columns = ["idle MiB", "peak MiB", "wall s", "CPU s"];

export async function run(): Promise<void> {
  const images = join(process.env.PLATEN_SHARED ?? join(root, "..", "shared"), "images");
  const folder = await mkdtemp(join(tmpdir(), "platen-bench-"));
  try {
    const bundled = await bundle(join(folder, "app"));
    const [photo, text] = await bandedPages(images);
    // 10 m.
    const long = roll(photo, 236_220);
    const printings: (readonly [string, Printing])[] = [
      ["photo, PNG files", { page: photo, sink: "png" }],
      ["text, PNG files", { page: text, sink: "png" }],
      ["photo, simulated engine", { page: photo, sink: "sim" }],
      ["text, simulated engine", { page: text, sink: "sim" }],
      ["10 m roll, simulated engine", { page: long, sink: "sim" }],
    ];
    console.log(["".padEnd(40), ...columns.map((name) => name.padStart(9))].join(""));
    for (const [kind, program] of [
      ["bundled", bundled],
      ["sources", source],
    ] as const) {
      for (const [name, printing] of printings) {
        const taken = await printInProcess(program, printing);
        const figures = [taken.idleMiB, taken.peakMiB, taken.wallS, taken.cpuS];
        const digits = figures.map((value, i) => value.toFixed(i < 2 ? 0 : 2).padStart(9));
        console.log(`${`${name}, ${kind}`.padEnd(40)}${digits.join("")}`);
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
