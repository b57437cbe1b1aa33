import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { JobState, PlatenError, PrintInstructionSchema } from "@platen/proto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readConfig } from "./cli.ts";
import { dotsOfPage } from "./testing/dots.ts";
import { makePage } from "./testing/pages.ts";
import { readSheet } from "./testing/png.ts";
import { startResultServer, testToken } from "./testing/result-server.ts";
import { TestBackend } from "./testing/test-backend.ts";

let resources: AsyncDisposableStack;
let folder: string;
beforeEach(async () => {
  resources = new AsyncDisposableStack();
  folder = await mkdtemp(join(tmpdir(), "platen-cli-"));
  resources.defer(() => rm(folder, { recursive: true }));
});
afterEach(() => resources.disposeAsync());

describe("settings", () => {
  const needed = { printerId: "p", backend: "127.0.0.1:1" };

  test("flags go before variables, variables before the file, the file before defaults", async () => {
    const config = join(folder, "printer.json");
    await writeFile(
      config,
      JSON.stringify({
        ...needed,
        sink: "png:file",
        mono: true,
        faultTimeoutS: 5,
        media: ["iso_a3_297x420mm"],
      }),
    );
    const env = {
      PLATEN_PRINTER_SINK: "png:env",
      PLATEN_PRINTER_FAULT_TIMEOUT_S: "7",
      PLATEN_PRINTER_MODE: "push",
    };
    const read = await readConfig({ config, sink: "png:flag" }, env);
    expect(read).toMatchObject({
      printerId: "p",
      sink: "png:flag",
      faultTimeoutS: 7,
      mode: "push",
      mono: true,
      media: ["iso_a3_297x420mm"],
      resolution: 600,
      allowPlaintext: false,
    });
    expect(Object.isFrozen(read)).toBe(true);
    const byVariable = await readConfig({}, { PLATEN_PRINTER_CONFIG: config });
    expect(byVariable).toMatchObject({ sink: "png:file", mode: "poll" });
  });

  test("every size that `platen` has a short name for is taken by default, A4 unless a job says otherwise", async () => {
    const { media } = await readConfig(needed, {});
    expect(media[0]).toBe("iso_a4_210x297mm");
    expect(media.map((name) => name.split("_")[1]!).sort()).toEqual([
      "a3",
      "a4",
      "a5",
      "a6",
      "ledger",
      "legal",
      "letter",
    ]);
  });

  test("text is read as what it stands for", async () => {
    const env = {
      PLATEN_PRINTER_MONO: "true",
      PLATEN_PRINTER_SIMPLEX: "0",
      PLATEN_PRINTER_RESOLUTIONS: "300,600",
      PLATEN_PRINTER_MEDIA: "na_letter_8.5x11in,iso_a4_210x297mm",
    };
    expect(await readConfig({ ...needed, allowPlaintext: true }, env)).toMatchObject({
      mono: true,
      simplex: false,
      allowPlaintext: true,
      resolutions: [300, 600],
      media: ["na_letter_8.5x11in", "iso_a4_210x297mm"],
    });
  });

  test.each([
    [{}, "--printer-id: is missing\n--backend: is missing"],
    [{ ...needed, printerId: "../p" }, "--printer-id: must be 1 to 64"],
    [{ ...needed, backend: "example" }, "--backend: must be HOST:PORT"],
    [{ ...needed, mode: "pull" }, '--mode: "pull" is none of poll, push'],
    [
      { ...needed, resolutions: "300", resolution: "600" },
      "--resolution: must be one of those that the engine has: 300",
    ],
    [{ ...needed, media: "A4" }, '--media: "A4" is no name such as iso_a4_210x297mm'],
    [{ ...needed, faultTimeoutS: "soon" }, "--fault-timeout-s: must be a number"],
    [{ ...needed, faultTimeoutS: "9999999999" }, "--fault-timeout-s: must be at most"],
    [{ ...needed, mono: "perhaps" }, "--mono: must be true or false"],
    [{ ...needed, inkLimitPercent: "50" }, "--ink-limit-percent: must be at least 100"],
    [{ ...needed, profile: "foo=a.icc" }, "--profile of foo: is no name of media such as iso_a4_210x297mm"],
  ])("a mistake is named: %j", async (settings, message) => {
    await expect(readConfig(settings, {})).rejects.toThrow(message);
    await expect(readConfig(settings, {})).rejects.toMatchObject({ code: "configuration" });
  });

  test("a file with an unknown setting, or that is none, is refused", async () => {
    const config = join(folder, "printer.json");
    for (const text of ['{"printerid":"p"}', "[]", "{"]) {
      await writeFile(config, text);
      await expect(readConfig({ config, ...needed }, {})).rejects.toBeInstanceOf(PlatenError);
    }
    await expect(readConfig({ config: join(folder, "none"), ...needed }, {})).rejects.toThrow("cannot read");
  });
});

const main = fileURLToPath(new URL("main.ts", import.meta.url));
type Child = ChildProcessByStdio<null, Readable, Readable>;

/** Runs the command; it is killed at the end of the test. */
function run(...args: string[]): Child {
  const env = { ...process.env, XDG_STATE_HOME: folder };
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
  resources.defer(() => void child.kill("SIGKILL"));
  return child;
}

async function finish(child: Child): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const [stdout, stderr, [code]] = await Promise.all([
    child.stdout.toArray().then((parts) => Buffer.concat(parts as Buffer[]).toString()),
    child.stderr.toArray().then((parts) => Buffer.concat(parts as Buffer[]).toString()),
    once(child, "exit") as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}

describe("the command", () => {
  test("prints, tells of it as JSON lines, and ends with 0 at the first Ctrl-C", async () => {
    const page = await makePage(1);
    const results = resources.use(await startResultServer({ pages: [page] }));
    const backend = resources.use(new TestBackend());
    const sheets = join(folder, "sheets");
    const child = run(
      "--json",
      "--printer-id=printer-1",
      `--backend=${await backend.listen()}`,
      `--sink=png:${sheets}`,
    );
    const closed = once(child, "close") as Promise<[number | null]>;
    backend.offer(
      create(PrintInstructionSchema, {
        session: { jobId: "job-1", printerId: "printer-1" },
        metafileUrl: results.metafileUrl("job-1"),
        token: testToken,
      }),
    );
    const end = await backend.reported("job-1", ({ state }) => state >= JobState.CANCELED);
    expect(end).toMatchObject({ state: JobState.COMPLETED, outputLocation: join(sheets, "job-1") });
    expect(await readSheet(end.outputLocation, 1)).toEqual({ front: dotsOfPage(page) });
    child.kill("SIGINT");
    const events: { event: string; state?: string }[] = [];
    for await (const line of createInterface(child.stdout))
      events.push(JSON.parse(line) as { event: string });
    expect((await closed)[0]).toBe(0);
    expect(events[0]).toMatchObject({ event: "engine" });
    expect(events.map(({ event }) => event)).toContain("registered");
    const print = events.findLast(({ event }) => event === "print");
    expect(print).toMatchObject({
      state: "JOB_STATE_COMPLETED",
      mediaSheetsCompleted: 1,
      session: { jobId: "job-1" },
    });
    expect(events.at(-1)).toEqual({ event: "stopping" });
    expect(JSON.stringify(events)).not.toContain(testToken);
  });

  test("gives the job up at SIGTERM as a restart would, says so, and ends with 0", async () => {
    const results = resources.use(
      await startResultServer({ pages: [await makePage(1)], intercept: () => new Promise(() => {}) }),
    );
    const backend = resources.use(new TestBackend());
    const child = run("--printer-id=printer-1", `--backend=${await backend.listen()}`, "--sink=sim:");
    const finished = finish(child);
    backend.offer(
      create(PrintInstructionSchema, {
        session: { jobId: "job-1", printerId: "printer-1" },
        metafileUrl: results.metafileUrl("job-1"),
        token: testToken,
      }),
    );
    await backend.reported("job-1", ({ state }) => state === JobState.PROCESSING);
    child.kill("SIGTERM");
    const { code, stdout, stderr } = await finished;
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(backend.reports.at(-1)!.state).toBe(JobState.PROCESSING_STOPPED);
    expect(stdout.split("\n")).toEqual([
      "platen-printer: registered with the backend",
      "platen-printer: job job-1: pending: waiting for its turn",
      "platen-printer: job job-1: processing: fetching the metafile",
      "platen-printer: stopping",
      expect.stringMatching(/^platen-printer: job job-1: processing-stopped: the printer is switched off/),
      "",
    ]);
  });

  test.each([
    [["--printer-id=p", "--backend=127.0.0.1:1", "--wat"], /unknown option/],
    [["--printer-id=p", "--backend=127.0.0.1:1", "--sink=serial:/dev/x?speed=1"], /sink serial: .*speed/],
  ])("ends with 2 and a sentence: %j", async (args, message) => {
    const { code, stderr } = await finish(run(...args));
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });

  test("ends with 2 when the backend refuses the printer", async () => {
    const backend = resources.use(new TestBackend());
    backend.refusal = new PlatenError("printer-taken", "a printer named p is registered already");
    const { code, stderr } = await finish(
      run("--printer-id=p", `--backend=${await backend.listen()}`, "--sink=sim:"),
    );
    expect(stderr).toBe("platen-printer: a printer named p is registered already\n");
    expect(code).toBe(2);
  });

  test("an engine that is not there is said to be tried again", async () => {
    const backend = resources.use(new TestBackend());
    const printer = run(
      "--printer-id=p",
      `--backend=${await backend.listen()}`,
      "--sink=serial:/nowhere/port",
    );
    const running = finish(printer);
    await backend.until(() => backend.registrations.length > 0);
    printer.kill("SIGTERM");
    expect((await running).stdout).toMatch(
      /^platen-printer: the engine is out of reach and will be tried again: no engine answers on the serial port: No such file or directory, cannot open \/nowhere\/port$/m,
    );
  });

  test("lists serial ports without being told anything else", async () => {
    const { code, stdout, stderr } = await finish(run("--list-ports"));
    // A machine without udev cannot tell, and says so.
    if (code === 0) expect(stdout).toMatch(/^(serial:\S+.*\n)+$|^platen-printer: no serial port\n$/);
    else expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("install udev") });
  });

  test("tells its version and its flags", async () => {
    expect((await finish(run("--version"))).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const { code, stdout } = await finish(run("--help"));
    expect(code).toBe(0);
    expect(stdout).toContain("--fault-timeout-s");
    expect(stdout).toContain("(default: 300,600,1200)");
  });
});
