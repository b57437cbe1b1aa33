/**
 * `node build.ts` compiles assembly/ to ../kernel.wasm, which is committed: a printer's controller needs no compiler, and runs
 * the very bytes that the tests ran. A test compiles it again and fails when the two differ.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { main as compile } from "assemblyscript/asc";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * Writes blocks between `{ // × N` and `} // × N` N times, with 0 to N − 1 for the constant that they begin with: loops that no
 * compiler unrolls here, and variants of a loop. Blocks may lie in blocks.
 */
const unrolled = (source: string): string =>
  source.replaceAll(
    /^( *)\{ \/\/ × (\d+)\n(.*?)^\1\} \/\/ × \2\n/gms,
    (_, _indent: string, times: string, body: string) =>
      Array.from(
        { length: Number(times) },
        (_, i) => `{\n${unrolled(body.replace(" = 0;", ` = ${i};`))}}\n`,
      ).join(""),
  );

/** A source as the compiler shall see it; it asks for files that are not there. */
function readSource(name: string, folder: string): string | null {
  const file = join(folder, name);
  return existsSync(file) ? unrolled(readFileSync(file, "utf8")) : null;
}

/** What sources of assembly/ compile to, the same bytes on every machine. */
export async function compileKernel(
  sources: readonly string[] = ["index.ts"],
): Promise<Uint8Array<ArrayBuffer>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const { error, stderr } = await compile(
    [
      sources,
      ["--baseDir", at("../assembly")],
      "-O3",
      "--converge",
      ["--runtime", "stub"],
      ["--use", "abort="],
      ["--enable", "threads"],
      "--importMemory",
      "--sharedMemory",
      ["--maximumMemory", "65536"],
      ["--enable", "simd"],
      ["--enable", "relaxed-simd"],
      ["--outFile", "kernel.wasm"],
    ].flat(),
    {
      readFile: readSource,
      writeFile: (name, contents) => void files.set(name, contents as Uint8Array<ArrayBuffer>),
    },
  );
  const wasm = files.get("kernel.wasm");
  if (error || !wasm) throw new Error(`the kernel does not compile:\n${stderr.toString()}`);
  return wasm;
}

if (import.meta.main) writeFileSync(at("../kernel.wasm"), await compileKernel());
