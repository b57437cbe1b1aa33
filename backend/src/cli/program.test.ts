import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { run } from "./program.ts";

let stdout: string;
let stderr: string;

beforeEach(() => {
  stdout = "";
  stderr = "";
  vi.spyOn(process.stdout, "write").mockImplementation((chunk) => Boolean((stdout += String(chunk))));
  vi.spyOn(process.stderr, "write").mockImplementation((chunk) => Boolean((stderr += String(chunk))));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

describe("help", () => {
  test.each(["", "print", "demo", "serve", "submit", "jobs", "watch", "cancel", "printers"])(
    "of platen %s has an example and the exit codes",
    async (command) => {
      expect(await run([command, "--help"].filter(Boolean))).toBe(0);
      expect(stdout).toMatch(/Examples?:\n {2}platen /);
      expect(stdout).toContain("130  interrupted");
    },
  );

  test("is what no command gets, with exit code 2", async () => {
    expect(await run([])).toBe(2);
    expect(stderr).toContain("Usage: platen");
  });
});

test.runIf(existsSync("/proc/self"))(
  "sheets into a folder that cannot be made are refused at once",
  async () => {
    expect(await run(["demo", "--out", "/proc/none/a"])).toBe(2);
    expect(stderr).toMatch(
      /^platen: cannot put sheets into \/proc\/none\/a: .*; name another folder with --out\n$/,
    );
  },
);

describe("wrong usage ends with 2 and one line, before anything starts", () => {
  test.each<[string, string[], string]>([
    ["an unknown command", ["prnt"], "unknown command 'prnt'\n(Did you mean print?)"],
    ["an unknown option", ["jobs", "--all"], "unknown option '--all'"],
    ["nothing to print", ["print"], "missing required argument 'file|url'"],
    ["no printer", ["submit", "-"], "required option '--printer <id>' not specified"],
    ["a file that is not there", ["print", "none.pdf"], "none.pdf: refused: there is no such file"],
    [
      "a file of a kind that is not printed",
      ["submit", import.meta.filename, "--printer", "office"],
      "program.test.ts: refused: the document is neither PDF nor JPEG nor PNG",
    ],
    [
      "a URL of another protocol",
      ["submit", "ftp://example.org/a.pdf", "--printer", "office"],
      "ftp://example.org/a.pdf: refused: of URLs only those of http and https can be printed",
    ],
    ["a folder", ["print", "/"], "/: refused: it is a folder"],
    [
      "a word that is none of IPP's",
      ["print", "-", "--sides", "both"],
      "argument 'both' is invalid. It must be one of one-sided",
    ],
    [
      "a ticket that is wrong in itself",
      ["print", "-", "--number-up", "5"],
      "number-up 5 is not supported: use one of 1, 2",
    ],
    [
      "page ranges that go back",
      ["print", "-", "--page-ranges", "3-1"],
      "page-ranges 3-1 ends before it begins",
    ],
    ["sheets into no folder", ["demo", "--out", ""], "--out needs the name of a folder"],
    ["sheets into a file", ["demo", "--out", import.meta.filename], "program.test.ts: it is not a folder"],
    ["sheets below a file", ["demo", "--out", `${import.meta.filename}/a/b`], "a/b: it is not a folder"],
    ["an unknown state", ["jobs", "--state", "done"], "Each must be one of pending, processing"],
    [
      "a server that is no address",
      ["jobs", "--server", "here"],
      "It must be HOST:PORT, with a port up to 65535.",
    ],
    [
      "both of --json and --quiet",
      ["print", "-", "--json", "--quiet"],
      "cannot be used with option '--quiet'",
    ],
    ["a setting that is none", ["serve", "--executors", "none"], "--executors: must be a number"],
    ["a role that is none", ["serve", "--roles", "intake,cook"], '--roles: "cook" is none of intake, '],
    [
      "a time that is none",
      ["serve", "--token-ttl", "banana"],
      "--token-ttl (tokenTtlMs): must be a time such as 90s",
    ],
    [
      "a key that is too short",
      ["serve", "--enrolment-key", "sesame"],
      "--enrolment-key: must have at least 8",
    ],
    [
      "a port that is none",
      ["serve", "--listen", "127.0.0.1:99999"],
      "--listen: must be HOST:PORT, with a port up to",
    ],
    [
      "a file of settings that is not there",
      ["serve", "--config", "none.json"],
      "cannot read none.json: there is no such file",
    ],
  ])("%s", async (_, args, message) => {
    expect(await run(args)).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^platen: /);
    expect(stderr.match(/^platen: /gm)).toHaveLength(1);
  });
});

describe("platen serve", () => {
  test.each(["--listen", "--http-listen"])("says which of its addresses is taken: %s", async (flag) => {
    const home = await mkdtemp(join(tmpdir(), "platen-program-"));
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    try {
      const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
      const addresses = { "--listen": "127.0.0.1:0", "--http-listen": "127.0.0.1:0", [flag]: address };
      const folders = ["--data-dir", join(home, "data"), "--temp-dir", join(home, "work")];
      expect(await run(["serve", ...Object.entries(addresses).flat(), ...folders])).toBe(2);
      expect(stderr).toBe(
        `platen: cannot listen on ${address}: something listens there already (${flag}): is another platen serve running? ` +
          "Choose other addresses with --listen and --http-listen\n",
      );
    } finally {
      taken.close();
      await rm(home, { recursive: true });
    }
  });
});

describe("the server", () => {
  test("is not called on another machine without TLS, unless that is asked for", async () => {
    const args = ["jobs", "--server", "print.example.org:6310"];
    expect(await run(args)).toBe(2);
    expect(stderr).toContain(
      "no TLS is set up for it: use --tls or --tls-ca, or allow plaintext with --allow-plaintext",
    );
    vi.stubEnv("PLATEN_ALLOW_PLAINTEXT", "false");
    expect(await run(args)).toBe(2);
    vi.stubEnv("PLATEN_ALLOW_PLAINTEXT", "perhaps");
    expect(await run(args)).toBe(2);
    expect(stderr).toContain("PLATEN_ALLOW_PLAINTEXT must be true or false");
  });

  test("that is not there ends with 4, and with a stack when asked for", async () => {
    expect(await run(["jobs", "--server", "127.0.0.1:1"])).toBe(4);
    expect(stderr).toMatch(/^platen: cannot reach the server at 127\.0\.0\.1:1 \(connect ECONNREFUSED .+\n$/);
    vi.stubEnv("PLATEN_SERVER", "127.0.0.1:1");
    expect(await run(["printers", "--verbose"])).toBe(4);
    expect(stderr).toContain("platen: unavailable: PlatenError: cannot reach");
    expect(stderr).toContain("connection.ts");
  });

  test("is spoken to over TLS with files that can be read", async () => {
    expect(await run(["jobs", "--tls-ca", "none.pem"])).toBe(2);
    expect(stderr).toMatch(/^platen: cannot read the TLS CA none\.pem/);
  });
});
