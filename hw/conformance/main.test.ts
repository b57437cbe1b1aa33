/** The command as the maker of an engine runs it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildFirmware, type FirmwareBuild } from "../engine-fw/test/build.ts";
import { type Report, reportAs, reportLine } from "./report.ts";

const main = fileURLToPath(new URL("main.ts", import.meta.url));

let build: FirmwareBuild;
let folder: string;
beforeAll(async () => {
  [build, folder] = await Promise.all([
    buildFirmware("posix-engine"),
    mkdtemp(join(tmpdir(), "platen-conformance-")),
  ]);
});
afterAll(async () => {
  await build?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const start = (...args: string[]) =>
  spawn(process.execPath, [main, ...args], { stdio: ["pipe", "pipe", "pipe"] });

async function ended(command: ChildProcess): Promise<{ code: number; out: string; error: string }> {
  const [[code], out, error] = await Promise.all([
    once(command, "close"),
    text(command.stdout!),
    text(command.stderr!),
  ]);
  return { code: code as number, out, error };
}

test("an engine that conforms gets a report, as text and in a file, and exit code 0", async () => {
  const file = join(folder, "report.json");
  const { code, out } = await ended(
    start("--run", build.path, "--panel", "--patience", "4", "--report", file),
  );
  expect(out).toMatch(/\d+ passed, 0 failed, 0 skipped: the engine conforms to version 1/);
  expect(code).toBe(0);
  const report = JSON.parse(await readFile(file, "utf8")) as Report & { conforms: boolean };
  expect(report).toMatchObject({ conforms: true, complete: true, engine: build.path });
  expect(report.results.map(({ name }) => name)).toContain(
    "stops for media-jam in mid-page, and goes on with that page when it is seen to",
  );
});

test("with --ask, somebody is asked to do things, and may skip them", async () => {
  const command = start("--run", build.path, "--ask", "--patience", "4");
  const running = ended(command);
  command.stderr.on("data", (bytes: Buffer) => {
    if (String(bytes).includes("(s: skip)")) command.stdin.write("s\n");
  });
  const { code, out, error } = await running;
  expect(error).toContain("Open the cover, then press Enter");
  expect(out).toMatch(/0 failed, 9 skipped/);
  expect(code).toBe(0);
});

test("what was waited for in vain is told with how to wait longer", async () => {
  const command = start("--run", "cat", "--patience", "0.02");
  const running = ended(command);
  let seen = "";
  command.stdout.on("data", (bytes: Buffer) => {
    seen += String(bytes);
    if (/FAIL .*\n.*\n/.test(seen)) command.kill("SIGINT");
  });
  expect((await running).out).toMatch(/FAIL .*\n {7}.+ \(.*--patience 4 waits longer\)\n/);
});

test("something that is no engine does not conform: exit code 1, soon after it is gone", async () => {
  const { code, out } = await ended(start("--run", "true"));
  expect(out).toContain("the engine's line is gone");
  expect(out).toContain("the engine does not conform");
  expect(code).toBe(1);
});

test.each([
  [["--port", "/nowhere/port"], /^No such file or directory, cannot open \/nowhere\/port$/m],
  [["--run", "/nowhere/engine"], /ENOENT/],
  [[], /--port or --run/],
  [["--run", "x", "--report", "r.pdf"], /\.txt, \.json or \.html/],
  [["--port", "x", "--panel"], /--panel goes with --run/],
])("%j cannot be tested: exit code 2 and a line that says why", async (args, why) => {
  const { code, error } = await ended(start(...args));
  expect(error).toMatch(why);
  expect(error.trim().split("\n")).toHaveLength(1);
  expect(code).toBe(2);
});

test("Ctrl-C ends it with what was found out so far, and no verdict", async () => {
  const command = start("--run", build.path, "--ask");
  const running = ended(command);
  command.stderr.on("data", (bytes: Buffer) => {
    if (String(bytes).includes("(s: skip)")) command.kill("SIGINT");
  });
  const { code, out } = await running;
  expect(out).toContain("interrupted: no verdict");
  expect(code).toBe(130);
});

const hostile = {
  name: "answers HELLO with what it is",
  outcome: "passed",
  note: '\u001B]0;owned\u0007<script>alert("1")</script>\u202Eevil\r\nok FAKE',
  tookMs: 1,
} as const;

test("what an engine says of itself can do nothing to a terminal or a page", () => {
  // oxlint-disable-next-line no-control-regex -- these are what must not be there
  expect(reportLine(hostile).replaceAll("\n", "")).not.toMatch(/[\u0000-\u001f\u007f\u202e]/);
  const report = { engine: "<b>", startedAt: "now", complete: true, results: [hostile] };
  const page = reportAs("r.html", report)!;
  expect(page).not.toContain("<script>");
  expect(page).not.toContain("<b>");
  expect(
    reportAs("r.txt", report)!
      .split("\n")
      .filter((line) => line.startsWith("ok")),
  ).toHaveLength(1);
});
