/**
 * The app as boards get it, run under emulation of their processor: bundled, native modules for arm64, Node from npm. Skipped,
 * with a word, where the emulator or Debian's arm64 libraries are missing (`.ci/setup --test` installs them).
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { JobState } from "@platen/proto";
import { expect, test } from "vitest";
import { buildApp, installPackages } from "../hw/flash/src/app.ts";
import { repository } from "../hw/flash/src/build.ts";
import { fetchRuntime } from "../hw/flash/src/runtime.ts";
import { stepsIn } from "../hw/flash/src/steps.ts";
import { ended, submit } from "./support/jobs.ts";
import { stamps } from "./support/pdf.ts";
import { embeddedSystem } from "./support/system.ts";

const emulator = "/usr/bin/qemu-aarch64-static";
const libraries = "/usr/aarch64-linux-gnu";
const canRun = existsSync(emulator) && existsSync(join(libraries, "lib/libstdc++.so.6"));
if (!canRun) {
  process.stderr.write(
    "board-app: skipped; it needs qemu-user-static, libc6-arm64-cross and libstdc++6-arm64-cross\n",
  );
}

test.skipIf(!canRun)(
  "the arm64 app prints a job to pictures",
  async () => {
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "platen-board-app-"));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const steps = stepsIn(join(folder, "cache"));
    const installed = await installPackages(repository, steps);
    const { folder: runtime } = await fetchRuntime(installed.root, steps);
    await buildApp(repository, installed, join(folder, "app"));

    const system = stack.use(await embeddedSystem());
    const sheets = join(folder, "sheets");
    const settings = ["--printer-id", "board", "--backend", system.controllerAddress, "--resolution", "300"];
    const files = ["--sink", `png:${sheets}`, "--state-dir", join(folder, "state")];
    const args = [
      "-L",
      libraries,
      join(runtime, "bin/node"),
      join(folder, "app/main.js"),
      ...settings,
      ...files,
    ];
    const printer = spawn(emulator, args, { stdio: ["ignore", "pipe", "pipe"] });
    const said: string[] = [];
    printer.stderr.on("data", (text: Buffer) => said.push(text.toString()));
    stack.defer(async () => {
      const gone = printer.exitCode === null ? once(printer, "exit") : undefined;
      printer.kill();
      await gone;
    });
    for await (const line of createInterface({ input: printer.stdout })) {
      said.push(line);
      if (line.includes("registered")) break;
    }
    expect(said.join("\n")).toContain("registered with the backend");
    printer.stdout.resume();

    const job = await submit(system, "board", stamps(1));
    expect((await ended(system, job)).job.state).toBe(JobState.COMPLETED);
    const [jobFolder] = await readdir(sheets);
    expect(await readdir(join(sheets, jobFolder!))).toContain("sheet-0001-front.png");
  },
  300_000,
);
