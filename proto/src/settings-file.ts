/** Settings of a command, from a file. */
import { readFile } from "node:fs/promises";
import { PlatenError } from "./error.ts";
import { fileTrouble } from "./file-trouble.ts";

/** The one JSON object in `path`. Throws `configuration`. */
export async function readSettingsFile(path: string): Promise<Record<string, unknown>> {
  try {
    const settings: unknown = JSON.parse(await readFile(path, "utf8"));
    if (typeof settings === "object" && settings !== null && !Array.isArray(settings)) return { ...settings };
  } catch (cause) {
    throw new PlatenError("configuration", `cannot read ${path}: ${fileTrouble(cause)}`, { cause });
  }
  throw new PlatenError("configuration", `${path} must hold one JSON object`);
}
