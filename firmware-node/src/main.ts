#!/usr/bin/env node
/** The `platen-printer` command. */
import "./heap.ts";
import { run } from "./cli.ts";

// Whoever read the output (`| head`) has seen enough; printing goes on.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

process.exitCode = await run(process.argv.slice(2));
