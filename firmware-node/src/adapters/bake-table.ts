/**
 * Bakes ink tables in a thread that ends with each: LittleCMS reads profiles that came with a job, so whatever one makes it do,
 * the printer goes on, and the memory that it took is given back.
 */
import { Worker } from "node:worker_threads";
import { PlatenError } from "@platen/proto";
import type { InkError } from "../color/error.ts";
import { type InkOptions, makeInkTable } from "../color/ink-tables.ts";
import type { InkTable } from "../pixels/ink-table.ts";

/** What the thread answers with. */
export type Baked =
  | { readonly table: InkTable }
  | { readonly code: InkError["code"]; readonly message: string };

/** Far above what a slow controller takes with a sound profile. */
const limitMs = 60_000;

function inThread(options: InkOptions): Promise<Baked> {
  const made = Promise.withResolvers<Baked>();
  const thread = new Worker(new URL("./bake-thread.ts", import.meta.url), {
    name: "ink table",
    workerData: options,
    execArgv: [],
  });
  const damaged = (how: string): void => {
    const [code, what] = options.source
      ? (["metafile-invalid", "the pages' colour profile"] as const)
      : (["configuration", "the output profile"] as const);
    made.resolve({ code, message: `${what} cannot be used: LittleCMS ${how}` });
  };
  const timer = setTimeout(() => damaged(`took more than ${limitMs / 1000} s`), limitMs);
  thread.once("message", made.resolve);
  thread.once("error", (error) =>
    damaged(`crashed: ${error instanceof Error ? error.message : String(error)}`),
  );
  thread.once("exit", () => damaged("ended"));
  return made.promise.finally(async () => {
    clearTimeout(timer);
    await thread.terminate();
  });
}

/** As makeInkTable. */
export async function bakeInkTable(options: InkOptions): Promise<InkTable> {
  if (!options.profile && !options.source) return makeInkTable(options);
  const baked = await inThread(options);
  if ("table" in baked) return baked.table;
  throw new PlatenError(baked.code, baked.message);
}
