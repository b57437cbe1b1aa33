/**
 * `node build.ts` compiles assembly/ to ../kernel.wasm, which is committed: a printer's controller needs no compiler, and runs
 * the very bytes that the tests ran. A test compiles it again and fails when the two differ.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { main as compile } from "assemblyscript/asc";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** What assembly/ compiles to, the same bytes on every machine. */
export async function compileKernel(): Promise<Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const { error, stderr } = await compile(
    [
      "index.ts",
      ["--baseDir", at("../assembly")],
      "-O3",
      "--converge",
      ["--runtime", "stub"],
      ["--use", "abort="],
      ["--enable", "simd"],
      ["--enable", "relaxed-simd"],
      ["--outFile", "kernel.wasm"],
    ].flat(),
    { writeFile: (name, contents) => void files.set(name, contents as Uint8Array) },
  );
  const wasm = files.get("kernel.wasm");
  if (error || !wasm) throw new Error(`the kernel does not compile:\n${stderr.toString()}`);
  return wasm;
}

if (import.meta.main) writeFileSync(at("../kernel.wasm"), await compileKernel());
