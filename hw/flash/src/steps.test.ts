import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lineOfStep } from "./cli.ts";
import { type StepEvent, stepsIn } from "./steps.ts";

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "platen-steps-"));
});
afterEach(() => rm(cache, { recursive: true }));

test("a step is told of before its work begins, and again when it is done; one that is kept is done no more", async () => {
  const events: StepEvent[] = [];
  const steps = stepsIn(cache, (event) => events.push(event));
  const make = async (folder: string): Promise<void> => {
    expect(events.at(-1)).toEqual({ kind: "begins", step: "a" });
    await writeFile(join(folder, "made"), "yes");
  };
  const folder = await steps.step("a", ["1"], make);
  expect(await readFile(join(folder, "made"), "utf8")).toBe("yes");
  expect(await steps.step("a", ["1"], make)).toBe(folder);
  expect(events).toEqual([
    { kind: "begins", step: "a" },
    { kind: "done", step: "a", tookMs: expect.any(Number) },
    { kind: "kept", step: "a" },
  ]);
});

test("a step that fails leaves nothing that would count as done", async () => {
  const steps = stepsIn(cache);
  const fail = async (): Promise<void> => {
    throw new Error("no");
  };
  await expect(steps.step("a", ["1"], fail)).rejects.toThrow("no");
  let made = 0;
  await steps.step("a", ["1"], async () => void made++);
  expect(made).toBe(1);
});

test("what takes long says so as it begins", () => {
  expect(lineOfStep({ kind: "begins", step: "runtime-bundle" })).toMatch(/compressing Node .* minute/);
  expect(lineOfStep({ kind: "done", step: "app", tookMs: 1500 })).toBe("app: 1.5 s");
});
