/** docs/engine-link.md says what the code does. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import framesFile from "./golden/frames.golden.json" with { type: "json" };
import { engineTiming, hostTiming, version } from "./timing.ts";
import { codecNames, colorants, engineStates, frameType, reasons, refusals } from "./words.ts";

const page = readFileSync(new URL("../../docs/engine-link.md", import.meta.url), "utf8");
/** Hex on the page, line breaks and all, as digits. */
const digits = page.replaceAll(/\s/g, "");

test.each(framesFile)("the page shows $name in hex", ({ line }) => {
  expect(digits).toContain(line);
});

test("the page shows no frame that is not a golden one", () => {
  const blocks = [...page.matchAll(/```\n((?:[0-9a-f]{2}[ \n])+)```/g)].map((match) =>
    match[1]!.replaceAll(/\s/g, ""),
  );
  expect(blocks.length).toBeGreaterThan(9);
  let left = blocks.join("");
  for (const { line } of framesFile) left = left.replace(line, "");
  expect(left).toBe("");
});

describe("the tables of the page", () => {
  test("have every frame type, and no other", () => {
    const rows = [...page.matchAll(/^\| `([0-9a-f]{2})` \| ([A-Z_]+) \| (host|engine) \| (yes|no) \|/gm)].map(
      ([, code, name, from, sequenced]) => [Number.parseInt(code!, 16), name, from, sequenced],
    );
    const known = Object.entries(frameType).map(([name, code]) => [
      code,
      name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase(),
      code < 0x80 ? "host" : "engine",
      code >= 0x10 && code <= 0x1f ? "yes" : "no",
    ]);
    expect(rows).toEqual(known);
  });

  test("have every reason and refusal by its number", () => {
    const rows = [...page.matchAll(/^\| (\d+) \| `([a-z-]+)` \|/gm)].map(
      ([, number, name]) => `${number} ${name}`,
    );
    const known = [
      ...reasons.map((name, bit) => `${bit} ${name}`),
      ...refusals.map((name, code) => `${code} ${name}`).slice(1),
    ];
    expect(rows).toEqual(known);
  });

  test("have every time-out", () => {
    const rows = new Map(
      [...page.matchAll(/^\| ((?:host |engine )?`\w+`) \| (\d+) \|/gm)].map((row) => [
        row[1],
        Number(row[2]),
      ]),
    );
    const { silentMs: hostSilentMs, ...host } = hostTiming;
    const { silentMs: engineSilentMs, ...engine } = engineTiming;
    const known = new Map<string, number>(
      Object.entries({ ...host, ...engine }).map(([name, value]) => [`\`${name}\``, value]),
    );
    known.set("host `silentMs`", hostSilentMs).set("engine `silentMs`", engineSilentMs);
    expect(rows).toEqual(known);
    expect(engine.heartbeatMs).toBe(host.heartbeatMs);
  });

  test("number inks, codecs and states as the code does", () => {
    expect(page).toContain(colorants.map((name, number) => `${number} ${name}`).join(", "));
    expect(page).toContain(codecNames.map((name, number) => `${number} ${name}`).join(", "));
    expect(page).toContain(engineStates.map((name, number) => `${number} ${name}`).join(", "));
    expect(page).toContain(`Version ${version}.`);
  });
});
