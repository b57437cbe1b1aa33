/** The kernel's first stage alone. */
import { compileKernel } from "../../firmware-node/kernel/tools/build.ts";
import type { InkTable } from "../../firmware-node/src/pixels/ink-table.ts";
import { tablesOf } from "../../firmware-node/src/pixels/kernel.ts";

/** As many as the kernel is handed at once. */
const sliceRows = 16;

interface Exports extends Readonly<Record<keyof ReturnType<typeof tablesOf> | "input", WebAssembly.Global>> {
  readonly memory: WebAssembly.Memory;
  open(width: number, rowsMax: number, neutralsAreBlack: boolean): void;
  lookUpRows(rows: number, maskRow: number): void;
}

/** What looks up the inks of a page of sRGB; `width` is a multiple of 16. */
export async function lookUpStage(table: InkTable, width: number): Promise<(pixels: Uint8Array) => void> {
  const module = new WebAssembly.Module(await compileKernel(["index.ts", "stages.ts"]));
  const exports = new WebAssembly.Instance(module).exports as unknown as Exports;
  exports.open(width, sliceRows, table.neutrals === "black");
  const tables = Object.entries(tablesOf(table)) as [keyof ReturnType<typeof tablesOf>, Int16Array][];
  const memory = new Int16Array(exports.memory.buffer);
  for (const [name, values] of tables) memory.set(values, exports[name].value / 2);
  const sliceBytes = sliceRows * width * 3;
  const input = new Uint8Array(exports.memory.buffer, exports.input.value, sliceBytes);
  return (pixels) => {
    for (let at = 0, y = 0; at + sliceBytes <= pixels.length; at += sliceBytes, y += sliceRows) {
      input.set(pixels.subarray(at, at + sliceBytes));
      exports.lookUpRows(sliceRows, y);
    }
  };
}
