import { describe, expect, test } from "vitest";
import { z } from "zod";
import { isHostPort, settingMistakes, settingWords } from "./settings.ts";

const schema = z.strictObject({
  count: z.coerce.number().int().positive().max(64).default(1),
  least: z.coerce.number().min(2).default(2),
  roles: z
    .array(z.enum(["a", "b"]))
    .min(1)
    .default(["a"]),
  key: z.string().min(8).default("longenough"),
  name: z.string().min(1),
  on: z.boolean().default(false),
  limits: z.record(z.string(), z.coerce.number().min(100)).default({}),
});

const mistakes = (settings: object): string => {
  const parsed = schema.safeParse({ name: "n", ...settings }, { error: settingWords });
  return settingMistakes(parsed.error?.issues ?? [], (key) => `--${key}`);
};

describe("a mistake in a setting is told in words", () => {
  test.each<[object, string]>([
    [{ count: "banana" }, "--count: must be a number"],
    [{ count: 1.5 }, "--count: must be a whole number"],
    [{ count: 0 }, "--count: must be more than 0"],
    [{ count: 65 }, "--count: must be at most 64"],
    [{ least: 1 }, "--least: must be at least 2"],
    [{ roles: ["a", "cook"] }, '--roles: "cook" is none of a, b'],
    [{ roles: [] }, "--roles: is empty"],
    [{ key: "sesame" }, "--key: must have at least 8 characters"],
    [{ name: "" }, "--name: is empty"],
    [{ name: undefined }, "--name: is missing"],
    [{ name: 7 }, "--name: must be text"],
    [{ on: "perhaps" }, "--on: must be true or false"],
    [{ limits: { default: 50 } }, "--limits: must be at least 100"],
    [{ limits: { a5: 50 } }, "--limits of a5: must be at least 100"],
    [{ nmae: 1, naem: 2 }, "there is no setting nmae\nthere is no setting naem"],
    [{ count: 0, name: "" }, "--count: must be more than 0\n--name: is empty"],
  ])("%j: %s", (settings, told) => {
    expect(mistakes(settings)).toBe(told);
  });
});

test.each([
  ["127.0.0.1:6310", true],
  ["print.example:0", true],
  ["[::1]:65535", true],
  ["127.0.0.1:65536", false],
  ["::1:6310", false],
  ["http://print.example:6310", false],
  ["print.example", false],
  [":6310", false],
])("%s is HOST:PORT: %s", (text, expected) => {
  expect(isHostPort(text)).toBe(expected);
});
