#!/usr/bin/env node
/** The `platen-printer` command. */
import { run } from "./cli.ts";

process.exitCode = await run(process.argv.slice(2));
