/** The `platen` command as its users run it: a process of its own, its output, its exit code, and what it leaves behind. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { PlatenError } from "@platen/proto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { pdf, stamp, stamps } from "./support/pdf.ts";

const main = fileURLToPath(new URL("../backend/src/main.ts", import.meta.url));
const printerMain = fileURLToPath(new URL("../firmware-node/src/main.ts", import.meta.url));
const stampMedia = ["--media", "custom_stamp_26x26mm", "--resolution", "300"];

let dir: string;
/** The command's own temporary folder: what it leaves shows there. */
let temp: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "platen-cli-"));
  temp = join(dir, "temp");
  await mkdir(temp);
});
afterEach(() => rm(dir, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Line {
  type: string;
  jobId: string;
  state: string;
  sheets: string;
  errorCode: string;
  executors: Record<string, object>;
  event: { kind: string };
}

interface RunOptions {
  stdin?: Uint8Array;
  env?: Record<string, string>;
  /** Called with each line of standard output; what it returns is sent to the process. */
  onLine?: (line: string) => NodeJS.Signals | undefined;
}

/** Runs a command line to its end. */
async function platen(args: readonly string[], { stdin, env = {}, onLine }: RunOptions = {}): Promise<Ended> {
  const child = spawn(process.execPath, [main, ...args], {
    cwd: dir,
    env: { ...process.env, TMPDIR: temp, ...env },
  });
  child.stdin.end(stdin);
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const stdout: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    stdout.push(line);
    const signal = onLine?.(line);
    if (signal) child.kill(signal);
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout: stdout.join("\n"), stderr };
}

const linesOf = ({ stdout }: Ended): Line[] => stdout.split("\n").map((line) => JSON.parse(line) as Line);

async function file(name: string, bytes: Uint8Array): Promise<string> {
  await writeFile(join(dir, name), bytes);
  return name;
}

describe("platen print", () => {
  test("prints files and standard input, tells of it in JSON, and leaves nothing but the sheets", async () => {
    const args = ["print", await file("a.pdf", stamps(3)), "-", ...stampMedia, "--out", "sheets", "--json"];
    const ended = await platen(args, { stdin: stamps(1) });
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    const lines = linesOf(ended);
    const ends = lines.filter(({ type }) => type === "ended");
    expect(ends).toMatchObject([
      { state: "completed", impressionsCompleted: 3, mediaSheetsCompleted: 3 },
      { state: "completed", impressionsCompleted: 1, mediaSheetsCompleted: 1 },
    ]);
    for (const { sheets, jobId, executors } of ends) {
      expect(sheets).toBe(join("sheets", jobId));
      expect(await readdir(join(dir, sheets))).toContain("sheet-0001-front-black.png");
      expect(Object.keys(executors).length).toBeGreaterThan(0);
    }
    expect(lines.filter(({ type }) => type === "event").map(({ event }) => event.kind)).toContain(
      "JOB_EVENT_KIND_PAGE_CONVERTED",
    );
    expect(await readdir(temp)).toEqual([]);
    expect((await readdir(dir)).sort()).toEqual(["a.pdf", "sheets", "temp"]);
  });

  test("exits with 1 when a job fails, and says why; the other one is printed", async () => {
    const damaged = await file("damaged.pdf", Buffer.from("%PDF-1.7\nno document"));
    const files = ["none.pdf", damaged, await file("good.pdf", stamps(1))];
    const ended = await platen(["print", ...files, ...stampMedia, "--printer", "mono"]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toBe("platen: none.pdf: refused: there is no such file\n");
    expect(ended.stdout).toMatch(/^damaged\.pdf: aborted: .+ \(document-damaged\), 0 sides on 0 sheets$/m);
    expect(ended.stdout).toMatch(/^good\.pdf: completed, 1 side on 1 sheet$/m);
  });

  test("exits with 2 when a file is refused, names it, and prints the others", async () => {
    const files = [
      await file("empty.pdf", Buffer.alloc(0)),
      await file("scan.tiff", Buffer.from("II*\0\b\0\0\0")),
      "-",
      await file("good.pdf", stamps(1)),
    ];
    const ended = await platen(["print", ...files, ...stampMedia, "--json"], {
      stdin: Buffer.from("GIF89a"),
    });
    expect(ended.code).toBe(2);
    expect(ended.stderr.split("\n")).toEqual([
      "platen: empty.pdf: refused: the file is empty",
      expect.stringContaining("platen: scan.tiff: refused: the document is a TIFF image"),
      expect.stringContaining("platen: -: refused: the document is a GIF image"),
      "",
    ]);
    const lines = linesOf(ended);
    expect(lines.filter(({ type }) => type === "refused").map(({ errorCode }) => errorCode)).toEqual([
      "document-damaged",
      "document-format",
      "document-format",
    ]);
    expect(lines.filter(({ type }) => type === "ended")).toMatchObject([{ state: "completed" }]);
  });

  test("Ctrl-C cancels the job, cleans up and exits with 130", async () => {
    const pages = Array.from({ length: 60 }, (_, i) => stamp(i + 1));
    const name = await file("long.pdf", pdf(pages));
    const ended = await platen(["print", name, ...stampMedia, "--json"], {
      onLine: (line) => (line.includes("JOB_EVENT_KIND_PRINT_REQUESTED") ? "SIGINT" : undefined),
    });
    expect(ended).toMatchObject({ code: 130, stderr: "platen: interrupted\n" });
    expect(linesOf(ended).at(-1)).toMatchObject({ type: "ended", state: "canceled" });
    expect(await readdir(temp)).toEqual([]);
  });

  test("refuses what the printer cannot do with 2", async () => {
    const ended = await platen([
      "print",
      await file("a.pdf", stamps(1)),
      "--printer",
      "mono",
      "--print-color-mode",
      "color",
      "--quiet",
    ]);
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr).toBe(
      "platen: a.pdf: refused: print-color-mode color is not supported by this printer, which supports auto, monochrome\n",
    );
  });
});

describe("the clients of a server", () => {
  let home: string;
  let server: Awaited<ReturnType<typeof start>>;
  let printer: Awaited<ReturnType<typeof start>>;
  let env: Record<string, string>;

  /** Starts a command that runs until it is told to stop, and resolves with its first line of JSON. */
  async function start(script: string, args: readonly string[]) {
    const child = spawn(process.execPath, [script, ...args, "--json"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done) throw new PlatenError("internal", `${script} ended before it was ready`);
    child.stdout.resume();
    const stop = async (): Promise<number | null> => {
      child.kill("SIGTERM");
      const [code] = (await exited) as [number | null];
      return code;
    };
    return { ready: JSON.parse(first.value) as { grpcAddress: string }, stop };
  }

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "platen-cli-serve-"));
    const config = join(home, "platen.json");
    const settings = {
      listen: "127.0.0.1:0",
      httpListen: "127.0.0.1:0",
      dataDir: join(home, "data"),
      tempDir: join(home, "work"),
    };
    await writeFile(config, JSON.stringify({ ...settings, executors: 5 }));
    server = await start(main, ["serve", "--config", config, "--executors", "1"]);
    env = { PLATEN_SERVER: server.ready.grpcAddress };
    const sink = `sim:${join(home, "sheets")}?jam-at-sheet=3`;
    const where = [
      "--backend",
      server.ready.grpcAddress,
      "--sink",
      sink,
      "--state-dir",
      join(home, "printer"),
    ];
    printer = await start(printerMain, ["--printer-id", "office", ...where]);
  });

  afterAll(async () => {
    expect(await printer.stop()).toBe(0);
    expect(await server.stop()).toBe(0);
    await rm(home, { recursive: true });
  });

  const submitted = async (pages: number): Promise<string> => {
    const name = await file("a.pdf", stamps(pages));
    const ended = await platen(["submit", name, "--printer", "office", ...stampMedia], { env });
    expect(ended.code).toBe(0);
    return ended.stdout;
  };

  test("a flag of serve goes before its file", () => {
    expect(server.ready).toMatchObject({ type: "ready", executors: [{}] });
  });

  test("submit says the job's id, watch follows it and may be left, and a jam is canceled from outside with exit code 3", async () => {
    const done = await platen(["watch", await submitted(1), "--json"], { env });
    expect(done.code).toBe(0);
    expect(linesOf(done).at(-1)).toMatchObject({
      type: "ended",
      state: "completed",
      mediaSheetsCompleted: 1,
    });

    const jobId = await submitted(3);
    const left = await platen(["watch", jobId], {
      env,
      onLine: (line) => (line.includes("processing-stopped") ? "SIGINT" : undefined),
    });
    expect(left.code).toBe(130);
    expect(left.stderr).toBe(`platen: interrupted: the job goes on; "platen cancel ${jobId}" ends it\n`);

    let canceled: Promise<Ended> | undefined;
    const watched = await platen(["watch", jobId], {
      env,
      onLine: (line) => {
        if (line.includes("processing-stopped"))
          canceled = platen(["cancel", jobId, "--message", "jam"], { env });
        return undefined;
      },
    });
    expect(watched.code).toBe(3);
    expect(await canceled).toMatchObject({ code: 0, stdout: `${jobId}: processing-stopped` });
    expect(await platen(["cancel", jobId], { env })).toMatchObject({ code: 0, stdout: `${jobId}: canceled` });

    const listed = await platen(["jobs", "--state", "canceled", "--json"], { env });
    expect(linesOf(listed)).toMatchObject([{ jobId, state: "JOB_STATE_CANCELED", mediaSheetsCompleted: 1 }]);
    const table = await platen(["jobs", "--printer", "office"], { env });
    expect(table.stdout.split("\n")).toHaveLength(3);
    expect(table.stdout).toMatch(new RegExp(`^${jobId}  canceled`, "m"));
  });

  test("printers are listed with how they are", async () => {
    const { stdout } = await platen(["printers"], { env });
    expect(stdout).toMatch(/^office +(idle|stopped).* poll +yes +300,600,1200 /m);
    const [json] = linesOf(await platen(["printers", "--json"], { env }));
    expect(json).toMatchObject({ printerId: "office", mode: "PRINTER_MODE_POLL" });
  });

  test("what the server refuses ends with 2", async () => {
    const name = await file("a.pdf", stamps(1));
    const unknown = await platen(["submit", name, "--printer", "nowhere"], { env });
    expect(unknown).toEqual({
      code: 2,
      stdout: "",
      stderr: "platen: no printer named nowhere has registered\n",
    });
    expect(await platen(["watch", "no-job"], { env })).toMatchObject({ code: 2, stdout: "" });
  });
});
