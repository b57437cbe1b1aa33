#!/usr/bin/env node
/** The `platen` command. */
import { run } from "./cli/program.ts";

// Whoever read the output (`| head`) has seen enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await run(process.argv.slice(2));
