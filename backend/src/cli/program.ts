/** The `platen` command: its commands, and how it ends. */
import { Command } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import {
  errorText,
  type ExitCode,
  exitCodeHelp,
  exitCodeOf,
  exitCodes,
  type Finish,
  isVerbose,
} from "./exit.ts";
import { addCancel, addSubmit, addWatch } from "./job-commands.ts";
import { addJobs, addPrinters } from "./list-commands.ts";
import { addDemo, addPrint } from "./print.ts";
import { addServe } from "./serve.ts";
import { addUpdates } from "./update-commands.ts";

/** Runs one command line (without `node` and the script), and resolves to the exit code. */
export async function run(args: readonly string[]): Promise<ExitCode> {
  let code: ExitCode = exitCodes.done;
  const finish: Finish = (ended) => {
    code = ended;
  };
  const program = new Command("platen")
    .description("Cloud printing, from a document to printed sheets.")
    .version(packageJson.version)
    .option("--verbose", "tell errors with their stacks (env: PLATEN_DEBUG)")
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, "platen: ")),
    })
    .addHelpText(
      "after",
      `
Examples:
  platen demo                                         see it work
  platen print report.pdf --printer mono --out sheets  print without a server
  platen serve                                        run a server
  platen submit report.pdf --printer office --watch   print on it
${exitCodeHelp}`,
    );
  addPrint(program, finish);
  addDemo(program, finish);
  addServe(program);
  addSubmit(program, finish);
  addWatch(program, finish);
  addCancel(program);
  addJobs(program);
  addPrinters(program);
  addUpdates(program);
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (thrown) {
    const text = errorText(thrown, isVerbose(program));
    if (text !== undefined) process.stderr.write(`${text}\n`);
    return exitCodeOf(thrown);
  }
}
