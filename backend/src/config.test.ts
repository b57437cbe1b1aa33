import { expect, test } from "vitest";
import { parseBackendConfig } from "./config.ts";

const day = 86_400_000;

test("what a timer cannot be set for is refused, and not done at once", () => {
  const dataDir = "data";
  for (const key of ["cancelPatienceMs", "reapIntervalMs", "downloadTimeoutMs", "renderPageTimeoutMs"]) {
    expect(() => parseBackendConfig({ dataDir, [key]: 30 * day })).toThrow(key);
  }
  // Printers ask once a day at least.
  expect(() => parseBackendConfig({ dataDir, updateIntervalMs: 2 * day })).toThrow("updateIntervalMs");
  // Times that are only compared may be as long as they like.
  expect(parseBackendConfig({ dataDir, jobRetentionMs: 400 * day })).toMatchObject({
    jobRetentionMs: 400 * day,
  });
});
