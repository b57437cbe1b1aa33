/** What operators' commands say and end with, on a server of their own. */
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  PrinterCapabilitiesSchema,
  PrinterMode,
  type RunningServer,
  serve,
  serverCredentials,
} from "@platen/proto";
import { encodeHead, keyIdOf, parseManifest, signKeySet } from "@platen/proto/bundle";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Jobs } from "../app/jobs.ts";
import { Printers } from "../app/printers.ts";
import { Updates } from "../app/updates.ts";
import { parsePrinterId } from "../domain/ids.ts";
import { printerAdminService } from "../grpc/printer-admin.ts";
import { updateService } from "../grpc/updates.ts";
import { openTestStorage } from "../testing/test-storage.ts";
import { run } from "./program.ts";

const operatorKey = "who may";
let stack: AsyncDisposableStack;
let folder: string;
let server: RunningServer;
let printers: Printers;
let said: string;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  folder = await mkdtemp(join(tmpdir(), "platen-operator-"));
  stack.defer(() => rm(folder, { recursive: true }));
  const { keyValue, blobs } = stack.use(await openTestStorage("embedded")).storage;
  printers = await Printers.open(keyValue, undefined, Date.now);
  const jobs = await Jobs.open(keyValue, { retentionMs: 1, now: Date.now });
  const updates = await Updates.open(keyValue, blobs, Date.now);
  const services = [updateService(updates, operatorKey), printerAdminService(printers, jobs, operatorKey)];
  server = stack.use(await serve(services, { address: "127.0.0.1:0", credentials: serverCredentials({}) }));
  said = "";
  const hear = (chunk: unknown) => Boolean((said += String(chunk)));
  vi.spyOn(process.stdout, "write").mockImplementation(hear);
  vi.spyOn(process.stderr, "write").mockImplementation(hear);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await stack.disposeAsync();
});

/** Resolves to the exit code and what was said. */
async function platen(...args: string[]): Promise<[number, string]> {
  said = "";
  return [await run([...args, "--server", server.address, "--operator-key", operatorKey]), said];
}
const inFolder = (name: string): string => join(folder, name);

/** A bundle of version 1.4.0, signed with a key that nobody knows. */
async function strangersBundle(): Promise<string> {
  const { privateKey } = generateKeyPairSync("ed25519");
  const sha256 = "0".repeat(64);
  const manifest = {
    format: 1,
    kind: "app",
    name: "platen-printer",
    version: "1.4.0",
    board: "linux-test",
    channels: ["stable"],
    main: "main.js",
    commit: "",
    updaterMin: 1,
    keyId: keyIdOf(privateKey),
    payload: { sizeBytes: 1, sha256, unpackedBytes: 1, files: 1 },
    runtime: { version: "24.0.0", sha256 },
  };
  const file = inFolder("platen-1.4.0.bundle");
  const head = encodeHead(parseManifest(Buffer.from(JSON.stringify(manifest))), privateKey);
  await writeFile(file, Buffer.concat([head, Buffer.alloc(1)]));
  return file;
}

describe("platen updates: what cannot be done ends with 2 and a sentence", () => {
  test("a file that is no bundle is not added", async () => {
    const file = inFolder("report.pdf");
    await writeFile(file, "%PDF-1.7");
    expect(await platen("updates", "add", file)).toEqual([2, `platen: ${file} is no bundle\n`]);
  });

  test("nor is one of a stranger, with a key set in force or given", async () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const keys = inFolder("keys");
    await writeFile(keys, signKeySet({ number: 1, root: [privateKey], release: [privateKey] }, [privateKey]));
    const file = await strangersBundle();
    const wrong = "the signature of the bundle is wrong, or of a key that is not trusted";
    expect(await platen("updates", "add", file, "--keys", keys)).toEqual([2, `platen: ${file}: ${wrong}\n`]);
    expect(await platen("updates", "keys", keys)).toEqual([0, "key set 1 is in force\n"]);
    expect(await platen("updates", "add", file)).toEqual([2, `platen: ${wrong}\n`]);
  });

  test("a version that is not there is not rolled out", async () => {
    expect(await platen("updates", "rollout", "1.4.0", "--percent", "10")).toEqual([
      2,
      "platen: there is no version 1.4.0: add its bundle\n",
    ]);
  });

  test("only one of --pause, --resume and --stop is taken", async () => {
    const [code, text] = await platen("updates", "rollout", "1.4.0", "--pause", "--stop");
    expect([code, text]).toEqual([2, expect.stringContaining("cannot be used with option '--stop'")]);
  });

  test("what is removed is named by its hash", async () => {
    const [code, text] = await platen("updates", "remove", "abc");
    expect([code, text]).toEqual([2, expect.stringContaining("It must be the SHA-256 of a bundle")]);
  });

  test("a key that is there stays", async () => {
    const file = inFolder("root.pem");
    const keygen = () => run(["updates", "keygen", file]);
    expect(await keygen()).toBe(0);
    const key = await readFile(file);
    said = "";
    expect([await keygen(), said]).toEqual([2, `platen: ${file} exists: a key is never overwritten\n`]);
    expect(await readFile(file)).toEqual(key);
  });
});

describe("platen printers remove", () => {
  test("gives a name free, for who has the operator key", async () => {
    const printerId = parsePrinterId("office");
    const capabilities = create(PrinterCapabilitiesSchema, {
      resolutionsDpi: [600],
      resolutionDefaultDpi: 600,
      mediaSupported: ["iso_a4_210x297mm"],
      mediaDefault: "iso_a4_210x297mm",
    });
    await printers.register({
      printerId,
      capabilities,
      mode: PrinterMode.POLL,
      address: "",
      enrolmentKey: "",
      printerKey: "k".repeat(43),
      status: undefined,
      loopback: true,
    });
    const stranger = ["printers", "remove", "office", "--server", server.address, "--operator-key", "?"];
    expect(await run(stranger)).toBe(2);
    expect(await printers.get(printerId)).toBeDefined();
    expect(await platen("printers", "remove", "office")).toEqual([0, "office is removed\n"]);
    expect(await printers.get(printerId)).toBeUndefined();
    expect(await platen("printers", "remove", "office")).toEqual([
      2,
      "platen: no printer named office has registered\n",
    ]);
  });
});
