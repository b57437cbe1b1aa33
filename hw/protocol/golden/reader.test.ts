import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

test("a reader written from docs/engine-link.md alone reads every golden frame and band, and refuses the damaged", async () => {
  const reader = fileURLToPath(new URL("reader.py", import.meta.url));
  // It rejects with what differs.
  const { stdout } = await promisify(execFile)("python3", [reader]);
  expect(stdout).toMatch(/^\d\d+ checks, 0 mistakes\n$/);
});
