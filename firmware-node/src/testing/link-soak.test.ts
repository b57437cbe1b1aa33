import { expect, test } from "vitest";
import { soakRun } from "./link-soak.ts";

test("30 seeded runs over bad lines: each job ends with exactly its sheets", async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const { outcome, mistakes } = await soakRun(seed);
    expect({ seed, outcome, mistakes }).toEqual({ seed, outcome: "printed", mistakes: [] });
  }
});
