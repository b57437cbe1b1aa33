/** `npm run bench -- NAME [ARGUMENTS]`: runs one benchmark, `bench/NAME.ts`, which prints its figures beside its peers'. */
import { readdir } from "node:fs/promises";

const benchmarks = (await readdir(import.meta.dirname))
  .filter((file) => file.endsWith(".ts") && file !== "main.ts")
  .map((file) => file.slice(0, -".ts".length))
  .toSorted();

const [name, ...args] = process.argv.slice(2);
if (name !== undefined && benchmarks.includes(name)) {
  const { run } = (await import(`./${name}.ts`)) as { run: (args: string[]) => Promise<void> };
  await run(args);
} else {
  const asked = name === undefined || name === "--help" || name === "-h";
  const usage = `Usage: npm run bench -- NAME [ARGUMENTS]\n\nBenchmarks: ${benchmarks.join(", ")}\n`;
  process[asked ? "stdout" : "stderr"].write(asked ? usage : `There is no benchmark ${name}.\n${usage}`);
  process.exitCode = asked ? 0 : 2;
}
