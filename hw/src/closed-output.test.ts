/** The commands of this folder before `| head`, as a shell starts them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "platen-output-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A command whose output nobody reads from its first byte on. */
function unread(main: string, ...args: string[]) {
  const command = spawn(process.execPath, [fileURLToPath(new URL(main, import.meta.url)), ...args]);
  command.stdout.destroy();
  const errors = text(command.stderr);
  const ended = once(command, "close").then(async ([code]) => ({ code, errors: await errors }));
  return { ended, type: (line: string) => command.stdin.write(`${line}\n`) };
}

test("platen-flash --help ends well though nobody reads it", async () => {
  expect(await unread("../flash/main.ts", "--help").ended).toEqual({ code: 0, errors: "" });
});

test("a conformance run comes to its verdict", async () => {
  const report = join(folder, "report.json");
  const { code, errors } = await unread("../conformance/main.ts", "--run", "true", "--report", report).ended;
  expect({ code, errors }).toEqual({ code: 1, errors: "" });
  await access(report);
});

test("a simulated engine stays until it is told to end", async () => {
  const engine = unread("link/main.ts", "run", "--pty", join(folder, "engine"));
  engine.type("paper");
  engine.type("quit");
  expect(await engine.ended).toEqual({ code: 0, errors: "" });
});
