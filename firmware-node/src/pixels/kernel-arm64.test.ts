import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const call = promisify(execFile);
const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Fetched by `.ci/setup --test`, since npm installs for this machine's processor alone. */
const node = at("../../../node_modules/.cache/node-arm64/package/bin/node");
const emulator = "/usr/bin/qemu-aarch64-static";
/** Debian's libraries for arm64: libc6-arm64-cross and libstdc++6-arm64-cross. */
const libraries = "/usr/aarch64-linux-gnu";

function missing(): string | undefined {
  return [emulator, node, `${libraries}/lib/ld-linux-aarch64.so.1`].find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return false;
    } catch {
      return true;
    }
  });
}

test("on arm64 the kernel lays the same dots, to the bit", { timeout: 180_000 }, async ({ skip }) => {
  const lacking = missing();
  if (lacking) skip(`no ${lacking}: run .ci/setup --test`);
  const script = at("../testing/kernel-dots.ts");
  const [here, there] = await Promise.all([
    call(process.execPath, [script]),
    call(emulator, ["-L", libraries, node, script]),
  ]);
  expect(here.stdout.trim().split("\n").length).toBe(80);
  expect(there.stdout).toBe(here.stdout);
});
