import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { backendConfigSchema } from "../config.ts";
import { addSchemaOptions, mergeSettings, type Settings } from "./options.ts";

const schema = z.strictObject({
  dataDir: z.string().default("here").describe("a folder"),
  roles: z
    .array(z.enum(["a", "b"]))
    .default(["a"])
    .describe("roles"),
  workers: z.coerce.number().default(2),
  patienceMs: z.coerce.number().default(90_000),
  uploadMaxBytes: z.coerce.number().default(3 * 2 ** 20),
  allowPlaintext: z.boolean().default(false),
  caFile: z.string().optional(),
});
const aliases = { caFile: "tls-ca" };

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "platen-options-"));
});
afterEach(() => rm(dir, { recursive: true }));

function flagsOf(...args: string[]): Settings {
  const command = addSchemaOptions(new Command("x").exitOverride(), schema, aliases);
  return command
    .configureOutput({ writeErr() {} })
    .parse(args, { from: "user" })
    .opts();
}

const merged = (args: string[], env: Record<string, string> = {}) =>
  mergeSettings(schema, { flags: flagsOf(...args), env }, aliases);

async function configFile(settings: unknown): Promise<string> {
  const file = join(dir, "platen.json");
  await writeFile(file, typeof settings === "string" ? settings : JSON.stringify(settings));
  return file;
}

describe("settings", () => {
  test("come from flags before variables before the file, and defaults are left to the schema", async () => {
    const file = await configFile({ dataDir: "file", workers: 7, patienceMs: 5, roles: ["b"] });
    const env = { PLATEN_DATA_DIR: "variable", PLATEN_WORKERS: "8", PLATEN_CONFIG: file };
    expect(await merged(["--data-dir", "flag"], env)).toEqual({
      dataDir: "flag",
      workers: "8",
      patienceMs: 5,
      roles: ["b"],
    });
    expect(await merged([])).toEqual({});
    expect(schema.parse(await merged(["--workers", "3"]))).toMatchObject({ workers: 3, dataDir: "here" });
  });

  test.each([
    [["--patience", "250ms"], { patienceMs: 250 }],
    [["--patience", "15s"], { patienceMs: 15_000 }],
    [["--patience", "1.5h"], { patienceMs: 5_400_000 }],
    [["--patience", "7d"], { patienceMs: 604_800_000 }],
    [["--patience", "42"], { patienceMs: 42 }],
    [["--upload-max", "512MiB"], { uploadMaxBytes: 512 * 2 ** 20 }],
    [["--upload-max", "2 gib"], { uploadMaxBytes: 2 ** 31 }],
    [["--roles", "a, b"], { roles: ["a", "b"] }],
    [["--allow-plaintext"], { allowPlaintext: true }],
    [["--tls-ca", "ca.pem"], { caFile: "ca.pem" }],
  ])("%j are read", async (args, expected) => {
    expect(await merged(args)).toEqual(expected);
  });

  test.each([
    ["true", true],
    ["0", false],
    ["no", false],
    ["", false],
  ])("a switch's variable may be %j", async (text, expected) => {
    expect(await merged([], { PLATEN_ALLOW_PLAINTEXT: text })).toEqual({ allowPlaintext: expected });
  });

  test.each<[string, string[], Record<string, string>]>([
    ["an unknown unit", ["--patience", "3 weeks"], {}],
    ["a switch that is neither on nor off", [], { PLATEN_ALLOW_PLAINTEXT: "maybe" }],
    ["an unknown role", ["--roles", "a,c"], {}],
  ])("%s reaches the schema as it is, which refuses it", async (_, args, env) => {
    expect(schema.safeParse(await merged(args, env)).success).toBe(false);
  });

  test("a field that the schema does not know is not dropped in silence", async () => {
    const file = await configFile({ dataDire: "typo" });
    expect(schema.safeParse(await merged(["--config", file])).success).toBe(false);
  });

  test.each([
    ["is not there", undefined],
    ["is no JSON", "{"],
    ["is no object", "[]"],
  ])("a file that %s is refused", async (_, text) => {
    const file = text === undefined ? join(dir, "none.json") : await configFile(text);
    await expect(merged(["--config", file])).rejects.toMatchObject({ code: "configuration" });
  });
});

describe("help", () => {
  test("tells each flag with its values and its default in units", () => {
    const help = addSchemaOptions(new Command("x"), schema, aliases).helpInformation();
    expect(help).toMatch(/--data-dir <value>\s+a folder \(default: here\)/);
    expect(help).toMatch(/--roles <value,…>\s+roles: a, b \(default: a\)/);
    expect(help).toMatch(/--patience <time>\s+\(default: 90s\)/);
    expect(help).toMatch(/--upload-max <size>\s+\(default: 3MiB\)/);
    expect(help).toMatch(/--tls-ca <value>/);
  });

  test("every setting of the backend has a flag of its own and says what it is", () => {
    const command = addSchemaOptions(new Command("serve"), backendConfigSchema);
    const keys = Object.keys(backendConfigSchema.shape);
    const flags = command.options.filter((option) => option.long !== "--config");
    expect(new Set(flags.map((option) => option.long)).size).toBe(keys.length);
    for (const option of flags) expect(option.description.length).toBeGreaterThan(5);
  });
});
