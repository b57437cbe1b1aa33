/** The kernel's first stage alone. */
import { compileKernel } from "../../firmware-node/kernel/tools/build.ts";
import type { InkTable } from "../../firmware-node/src/pixels/ink-table.ts";
import { tablesOf } from "../../firmware-node/src/pixels/kernel.ts";
import type { Strip } from "../../firmware-node/src/pixels/strip-memory.ts";

interface Exports extends Readonly<Record<keyof ReturnType<typeof tablesOf>, WebAssembly.Global>> {
  open(width: number, neutralsAreBlack: boolean): void;
  useStrip(pixels: number, planes: number, planeBytes: number): void;
  lookUpRows(rows: number, maskRow: number): void;
}

/** What looks up the inks of strips of sRGB in `memory`, of so many rows each; `width` is a multiple of 16. */
export async function lookUpStage(
  table: InkTable,
  memory: WebAssembly.Memory,
  width: number,
): Promise<(strips: readonly Strip[], rows: number) => void> {
  const module = new WebAssembly.Module(await compileKernel(["index.ts", "stages.ts"]));
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
  exports.open(width, table.neutrals === "black");
  const tables = Object.entries(tablesOf(table)) as [keyof ReturnType<typeof tablesOf>, Int16Array][];
  for (const [name, values] of tables) new Int16Array(memory.buffer).set(values, exports[name].value / 2);
  return (strips, rows) => {
    for (const [i, { pixels, planes }] of strips.entries()) {
      exports.useStrip(pixels.byteOffset, planes.byteOffset, planes.length / 4);
      exports.lookUpRows(rows, i * rows);
    }
  };
}
