/** Clients that share no code with the project: buf curl by reflection alone, and Python with stubs of its own. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stampMedia } from "./support/jobs.ts";
import { stamps } from "./support/pdf.ts";
import { type TestPrinter, testPrinter } from "./support/printer.ts";
import { embeddedSystem, type TestSystem } from "./support/system.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const bin = (name: string): string => join(root, "node_modules", ".bin", name);

let system: TestSystem;
let printer: TestPrinter;
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "platen-clients-"));
  system = await embeddedSystem();
  printer = await testPrinter(system, {
    printerId: "office",
    mode: "push",
    settings: { media: [stampMedia] },
  });
});
afterAll(async () => {
  await printer?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

describe("buf curl, by reflection alone", () => {
  const curl = async (...args: string[]): Promise<string> => {
    // Run where there are no proto files, so that reflection is all it has.
    const { stdout } = await run(
      bin("buf"),
      ["curl", "--protocol", "grpc", "--http2-prior-knowledge", ...args],
      { cwd: dir },
    );
    return stdout;
  };
  const call = async (
    method: string,
    request: object | readonly object[],
  ): Promise<Record<string, unknown>[]> => {
    const data = [request]
      .flat()
      .map((one) => JSON.stringify(one))
      .join("\n");
    const url = `http://${system.intakeAddress}/platen.v1.IntakeService/${method}`;
    const out = await curl("--data", data, url);
    return JSON.parse(`[${out.trim().replaceAll(/\}\n+\{/g, "},{")}]`) as Record<string, unknown>[];
  };

  it("lists the services and their methods", async () => {
    const methods = await curl("--list-methods", `http://${system.intakeAddress}`);
    for (const method of [
      "UploadDocument",
      "SubmitJob",
      "GetJob",
      "WatchJob",
      "ListJobs",
      "CancelJob",
      "ListPrinters",
    ]) {
      expect(methods).toContain(`platen.v1.IntakeService/${method}`);
    }
    expect(methods).toContain("platen.v1.PrinterQueueService/PollPrinterQueue");
  });

  it("uploads as a stream, submits, and watches to the end", async () => {
    const bytes = stamps(2);
    const half = Math.floor(bytes.length / 2);
    const [uploaded] = await call("UploadDocument", [
      { header: { fileName: "stamps.pdf", sizeBytes: String(bytes.length) } },
      { chunk: bytes.subarray(0, half).toString("base64") },
      { chunk: bytes.subarray(half).toString("base64") },
    ]);
    const [submitted] = await call("SubmitJob", {
      printerId: "office",
      documentId: uploaded!.documentId,
      ticket: { copies: 2 },
    });
    const { jobId } = submitted!.job as { jobId: string };
    const events = await call("WatchJob", { jobId });
    expect(events.at(-1)).toMatchObject({
      event: { kind: "JOB_EVENT_KIND_ENDED", state: "JOB_STATE_COMPLETED", mediaSheetsCompleted: 4 },
    });
    expect(printer.sheetsOf(jobId)).toHaveLength(4);
  });

  it("submits by URL", async () => {
    const server = createServer((_, response) => response.end(stamps(1)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const documentUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/stamps.pdf`;
      const [submitted] = await call("SubmitJob", { printerId: "office", documentUri });
      const { jobId } = submitted!.job as { jobId: string };
      const events = await call("WatchJob", { jobId });
      expect(events.at(-1)).toMatchObject({ event: { state: "JOB_STATE_COMPLETED" } });
    } finally {
      server.close();
    }
  });

  it("is told what is wrong with a ticket", async () => {
    const request = { printerId: "office", documentUri: "http://127.0.0.1/x.pdf", ticket: { copies: 5000 } };
    await expect(call("SubmitJob", request)).rejects.toMatchObject({
      stderr: expect.stringMatching(/copies/) as string,
    });
  });
});

describe("a Python client with stubs from proto/", () => {
  let stubs: string;
  let document: string;
  beforeAll(async () => {
    stubs = join(dir, "stubs");
    document = join(dir, "stamps.pdf");
    await writeFile(document, stamps(3));
    const image = join(dir, "platen.binpb");
    await run(bin("buf"), ["build", "-o", image], { cwd: root });
    await run("mkdir", ["-p", stubs]);
    const { stdout: plugin } = await run("sh", ["-c", "command -v grpc_python_plugin"]);
    const files = await run("sh", ["-c", "ls platen/v1/*.proto"], { cwd: join(root, "proto") });
    await run(
      "protoc",
      [
        `--descriptor_set_in=${image}`,
        `--python_out=${stubs}`,
        `--grpc_python_out=${stubs}`,
        `--plugin=protoc-gen-grpc_python=${plugin.trim()}`,
        ...files.stdout.trim().split("\n"),
      ],
      { cwd: join(root, "proto") },
    );
  });

  const python = async (...args: string[]): Promise<{ code: number; lines: string[] }> => {
    const script = join(root, "e2e", "python", "platen_client.py");
    const child = spawn("/usr/bin/python3", [script, system.intakeAddress, ...args], {
      env: { ...process.env, PYTHONPATH: stubs },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit") as Promise<[number]>;
    const lines = await Array.fromAsync(createInterface({ input: child.stdout }));
    return { code: (await exited)[0], lines };
  };

  it("uploads, submits and watches", async () => {
    const { code, lines } = await python("print", "office", document);
    expect(lines.at(-1)).toMatch(/JOB_EVENT_KIND_ENDED JOB_STATE_COMPLETED$/);
    expect(code).toBe(0);
  });

  it("cancels", async () => {
    // Out of paper, so that there is something left to cancel.
    printer.engine.fail("media-empty");
    const { code, lines } = await python("cancel", "office", document);
    printer.engine.remedy();
    expect(lines.at(-1)).toMatch(/JOB_STATE_CANCELED$/);
    expect(code).toBe(0);
  });
});
