import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { requestFile, systemFolder } from "@platen/firmware-node/updates";
import { expect, test } from "vitest";

const board = join(import.meta.dirname, "../board/root");
const units = join(board, "usr/lib/systemd/system");
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

test.skipIf(!hasSystemd)(
  "systemd finds the service for systems little exposed, for one that writes them (skipped without systemd)",
  () => {
    const said = execFileSync(
      "systemd-analyze",
      ["security", "--offline=true", "--threshold=50", "--no-pager", join(units, "platen-system.service")],
      { encoding: "utf8" },
    );
    expect(said).toMatch(/Overall exposure level for platen-system\.service: [0-4]\.\d/);
  },
);

test("the printer may write where it asks for systems, and the service answers before the printer starts", () => {
  const unit = (name: string) => readFileSync(join(units, name), "utf8");
  const folder = readFileSync(join(board, "usr/lib/tmpfiles.d/platen-system.conf"), "utf8");
  expect(folder).toContain(`d ${systemFolder} 0755 root root`);
  expect(folder).toContain(`d ${join(systemFolder, dirname(requestFile))} 0700 platen platen`);
  expect(unit("platen.service")).toMatch(
    new RegExp(`^ReadWritePaths=.*${join(systemFolder, dirname(requestFile))}$`, "m"),
  );
  expect(unit("platen-system.path")).toContain(`PathExists=${join(systemFolder, requestFile)}\n`);
  expect(unit("platen-settle.service")).toMatch(/^Before=platen\.service$/m);
  // Its answers are for the printer too.
  expect(unit("platen-system.service")).not.toContain("UMask");
});

test("drivers of the devices that the printer may open are there when systemd looks them up: when it starts", () => {
  const unit = readFileSync(join(units, "platen.service"), "utf8");
  const allowed = [...unit.matchAll(/^DeviceAllow=char-(\S+) rw$/gm)].map(([, name]) => name);
  // The other two are part of Debian's kernel.
  const modules = { ttyUSB: "usbserial", ttyACM: "cdc_acm" };
  expect(allowed.sort()).toEqual([...Object.keys(modules), "ttyAMA", "ttyS"].sort());
  const loaded = readFileSync(join(board, "usr/lib/modules-load.d/platen.conf"), "utf8").split("\n");
  expect(loaded).toEqual(expect.arrayContaining(Object.values(modules)));
});

test("the board's shell programs are well-formed", () => {
  for (const path of ["../init", "usr/lib/platen/grow"]) {
    execFileSync("sh", ["-n", join(board, path)]);
  }
});
