/** What is wrong with settings that a person gave, in words for that person. */
import type { z } from "zod";

/** Whether a text is `host:port`, IPv6 addresses in brackets. */
export function isHostPort(text: string): boolean {
  const port = /^(?:\[[0-9a-fA-F:]+\]|[^\s:/]+):(\d{1,5})$/.exec(text)?.[1];
  return port !== undefined && Number(port) <= 65_535;
}
export const hostPortWords = "must be HOST:PORT, with a port up to 65535";

const kinds: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

const shown = (input: unknown): string =>
  typeof input === "string" ? JSON.stringify(input.slice(0, 80)) : String(input);

/** Words for what a schema does not tell in words of its own; for `safeParse(settings, { error: settingWords })`. */
export const settingWords: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined ? "is missing" : `must be ${kinds[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `${shown(issue.input)} is none of ${issue.values.map(String).join(", ")}`;
    case "too_small": {
      const { origin, minimum, inclusive } = issue;
      if (origin === "string") return minimum === 1 ? "is empty" : `must have at least ${minimum} characters`;
      if (origin === "array") return "is empty";
      return `must be ${inclusive ? "at least" : "more than"} ${minimum}`;
    }
    case "too_big":
      return `must be at most ${issue.maximum}`;
    default:
      return undefined;
  }
};

/**
 * A line for each mistake, with the name of its setting. `nameOf` tells what people call a field; of a setting with a value
 * for each of several things (but for "default") the line says for which it is wrong.
 */
export function settingMistakes(
  issues: readonly z.core.$ZodIssue[],
  nameOf: (key: string) => string = (key) => key,
): string {
  const lines = issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => `there is no setting ${key}`);
    const [key, ...within] = issue.path;
    if (key === undefined) return [issue.message];
    const of = within.filter((part) => typeof part === "string" && part !== "default").join(".");
    return [`${nameOf(String(key))}${of && ` of ${of}`}: ${issue.message}`];
  });
  return lines.join("\n");
}
