import { expect, test } from "vitest";
import { soakRun } from "./link-soak.ts";

test("60 seeded runs over bad lines: each job ends with exactly its sheets, or with a reason and none that is wrong", async () => {
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) {
    const { outcome, mistakes } = await soakRun(seed);
    expect({ seed, mistakes }).toEqual({ seed, mistakes: [] });
    outcomes.add(outcome);
  }
  expect([...outcomes].toSorted()).toEqual(["canceled", "engine-fault", "printed"]);
});
