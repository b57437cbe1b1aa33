import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const units = join(import.meta.dirname, "../board/root/usr/lib/systemd/system");
const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;

test.skipIf(!hasSystemd)(
  "systemd finds the printer's service little exposed (skipped without systemd)",
  () => {
    // Tenths of systemd's measure, from 0 to 10; fails above. What remains is the network, the engine's line, and V8's need to
    // make code as it runs.
    const said = execFileSync(
      "systemd-analyze",
      ["security", "--offline=true", "--threshold=20", "--no-pager", join(units, "platen.service")],
      { encoding: "utf8" },
    );
    expect(said).toMatch(/Overall exposure level for platen\.service: 1\.\d/);
  },
);

test("the board's shell programs are well-formed", () => {
  for (const path of ["../board/init", "../board/root/usr/lib/platen/grow"]) {
    execFileSync("sh", ["-n", join(import.meta.dirname, path)]);
  }
});
