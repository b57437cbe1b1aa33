#!/usr/bin/env node
/** The `platen-flash` command. */
import { bearClosedOutput } from "../src/closed-output.ts";
import { run } from "./src/cli.ts";

bearClosedOutput();

process.exitCode = await run(process.argv.slice(2));
