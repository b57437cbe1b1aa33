/**
 * Settings from flags, environment, a file and defaults, in that order of precedence, for any flat zod schema. Every field
 * becomes a flag and a variable of its own: `dataDir` is `--data-dir` and PLATEN_DATA_DIR. Fields that end in `Ms` or
 * `Bytes` take values with a unit (`--job-retention 7d`, `--upload-max 512MiB`), and their flags leave that ending out.
 */
import { readSettingsFile } from "@platen/proto";
import { type Command, Option } from "commander";
import type { z } from "zod";

export type Settings = Record<string, unknown>;

type Schema = z.ZodObject<Record<string, z.ZodType>>;

interface Field {
  readonly key: string;
  /** Without the dashes before it. */
  readonly flag: string;
  readonly variable: string;
  readonly kind: "text" | "list" | "switch" | "number" | "milliseconds" | "bytes";
  readonly choices: readonly string[] | undefined;
  readonly description: string;
  readonly defaultValue: unknown;
}

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const byteUnits = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 } as const;

const kebab = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** What of zod's definitions is read here. */
interface Definition {
  readonly type: string;
  readonly innerType?: { readonly def: Definition };
  readonly defaultValue?: unknown;
  readonly element?: { readonly def: Definition };
  readonly entries?: Readonly<Record<string, string>>;
}

function kindOf(key: string, type: string): Field["kind"] {
  if (type === "boolean") return "switch";
  if (type === "array") return "list";
  if (type !== "number") return "text";
  return key.endsWith("Ms") ? "milliseconds" : key.endsWith("Bytes") ? "bytes" : "number";
}

/** `aliases` gives fields a flag other than the one that their name makes. */
function fieldsOf(schema: Schema, aliases: Readonly<Record<string, string>>): Field[] {
  return Object.entries(schema.shape).map(([key, type]) => {
    let definition = type.def as unknown as Definition;
    let defaultValue: unknown;
    while (definition.innerType) {
      defaultValue ??= definition.defaultValue;
      definition = definition.innerType.def;
    }
    const kind = kindOf(key, definition.type);
    const flag =
      aliases[key] ??
      kebab(kind === "milliseconds" || kind === "bytes" ? key.replace(/(Ms|Bytes)$/, "") : key);
    const entries = (definition.element?.def ?? definition).entries;
    return {
      key,
      flag,
      variable: `PLATEN_${flag.toUpperCase().replaceAll("-", "_")}`,
      kind,
      choices: entries && Object.values(entries),
      description: type.description ?? "",
      defaultValue,
    };
  });
}

/** A number in the largest unit that it is a whole number of. */
function withUnit(value: number, units: Readonly<Record<string, number>>): string {
  const [unit, factor] = Object.entries(units).findLast(([, factor]) => value % factor === 0)!;
  return `${value / factor}${unit}`;
}

function show({ kind, defaultValue }: Field): string | undefined {
  if (defaultValue === undefined || kind === "switch") return undefined;
  if (kind === "milliseconds") return withUnit(defaultValue as number, durationUnits);
  if (kind === "bytes") return withUnit(defaultValue as number, byteUnits);
  return String(defaultValue);
}

/** Reads text as the field wants it. What cannot be read is handed on as it is, for the schema to refuse by name. */
function read({ kind }: Field, value: unknown): unknown {
  if (typeof value !== "string") return value;
  if (kind === "list") return value.split(",").map((part) => part.trim());
  if (kind === "switch") return readSwitch(value);
  if (kind === "milliseconds") return readUnit(value, durationUnits);
  if (kind === "bytes") return readUnit(value, byteUnits);
  return value;
}

/** What a variable says that stands for a switch; the text itself when it says neither. */
export function readSwitch(text: string): boolean | string {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  return /^(0|false|no|off|)$/i.test(text) ? false : text;
}

function readUnit(text: string, units: Readonly<Record<string, number>>): unknown {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim()) ?? [];
  const factor =
    unit === "" ? 1 : Object.entries(units).find(([name]) => name.toLowerCase() === unit?.toLowerCase())?.[1];
  return amount === undefined || factor === undefined ? text : Number(amount) * factor;
}

const placeholder: Record<Field["kind"], string> = {
  text: "<value>",
  list: "<value,…>",
  switch: "",
  number: "<n>",
  milliseconds: "<time>",
  bytes: "<size>",
};

/** Adds a flag for every field of the schema, and `--config`. */
export function addSchemaOptions(
  command: Command,
  schema: Schema,
  aliases: Readonly<Record<string, string>> = {},
): Command {
  command.option(
    "--config <file>",
    "JSON file of settings, named as flags in camel case; times end in Ms, sizes in Bytes: tokenTtlMs",
  );
  for (const field of fieldsOf(schema, aliases)) {
    const choices = field.choices ? `: ${field.choices.join(", ")}` : "";
    const value = show(field);
    const note = value === undefined ? "" : ` (default: ${value})`;
    const flags = `--${field.flag} ${placeholder[field.kind]}`.trim();
    command.addOption(new Option(flags, `${field.description}${choices}${note}`));
  }
  return command;
}

/** What people call a field: its flag, and where a file calls it otherwise its key. */
export function settingNames(
  schema: Schema,
  aliases: Readonly<Record<string, string>> = {},
): (key: string) => string {
  const flags = new Map(fieldsOf(schema, aliases).map(({ key, flag }) => [key, flag]));
  return (key) => {
    const flag = flags.get(key);
    if (flag === undefined) return key;
    return flag === kebab(key) ? `--${flag}` : `--${flag} (${key})`;
  };
}

/** Flags over environment over file; what none of them gives is left out, for the schema's defaults. Throws `configuration`. */
export async function mergeSettings(
  schema: Schema,
  given: { readonly flags: Settings; readonly env: Readonly<Record<string, string | undefined>> },
  aliases: Readonly<Record<string, string>> = {},
): Promise<Settings> {
  const { flags, env } = given;
  const file = typeof flags["config"] === "string" ? flags["config"] : env["PLATEN_CONFIG"];
  const settings: Settings = file ? await readSettingsFile(file) : {};
  for (const field of fieldsOf(schema, aliases)) {
    const value =
      flags[new Option(`--${field.flag}`).attributeName()] ?? env[field.variable] ?? settings[field.key];
    if (value !== undefined) settings[field.key] = read(field, value);
  }
  return settings;
}
