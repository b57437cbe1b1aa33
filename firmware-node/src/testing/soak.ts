#!/usr/bin/env node
/** `npm run soak -- link`: many seeded runs of one thing, with a report; exit code 1 when a run went wrong. */
import { Command, InvalidArgumentError } from "commander";
import { soakRun } from "./link-soak.ts";

function count(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("not a count");
  return Number(text);
}

const outcomeWords: Readonly<Record<string, string>> = {
  printed: "with exactly its sheets",
  canceled: "canceled by somebody",
  "engine-fault": "by the first fault, as its policy says",
};

async function soakLink({ runs, seed }: { runs: number; seed: number }): Promise<void> {
  const outcomes = new Map<string, number>();
  const events = new Map<string, number>();
  const errorRates = new Map<string, number>();
  const add = (counts: Map<string, number>, name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  let virtualS = 0;
  let wrong = 0;
  for (let run = 0; run < runs; run++) {
    const result = await soakRun(seed + run);
    add(outcomes, outcomeWords[result.outcome] ?? result.outcome);
    add(errorRates, String(result.faults.bitErrorRate));
    for (const name of result.events) add(events, name);
    virtualS += result.virtualS;
    if (result.mistakes.length === 0) continue;
    wrong++;
    console.log(JSON.stringify(result));
  }
  const list = (counts: Map<string, number>) =>
    [...counts]
      .toSorted()
      .map(([name, n]) => `${name}: ${n}`)
      .join(", ");
  console.log(`${runs} runs, ${(virtualS / 3600).toFixed(1)} hours of virtual time`);
  console.log(`bit error rates   ${list(errorRates)}`);
  console.log(`on the way        ${list(events)}`);
  console.log(`ended             ${list(outcomes)}`);
  console.log(wrong === 0 ? "nothing wrong" : `${wrong} went wrong; run one again by --seed SEED --runs 1`);
  if (wrong > 0) process.exitCode = 1;
}

const program = new Command("soak").description("Many seeded runs, each of which can be had again.");
program
  .command("link")
  .description("the engine link over bad lines, with stalls, cuts, jams and power cuts at both ends")
  .option("--runs <count>", "how many", count, 1000)
  .option("--seed <number>", "of the first; the others follow it", count, 1)
  .action(soakLink);
await program.parseAsync();
