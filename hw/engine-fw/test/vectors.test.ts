/** The C engine reads the same golden files as the TypeScript one, under the address and undefined-behaviour sanitizers. */
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import bandsFile from "../../protocol/golden/bands.golden.json" with { type: "json" };
import framesFile from "../../protocol/golden/frames.golden.json" with { type: "json" };
import streamsFile from "../../protocol/golden/streams.golden.json" with { type: "json" };
import { codecNames, type Refusal, refusals } from "../../protocol/words.ts";
import { buildFirmware, type FirmwareBuild } from "./build.ts";

let build: FirmwareBuild;
beforeAll(async () => {
  build = await buildFirmware("vectors");
});
afterAll(() => build?.[Symbol.asyncDispose]());

const ask = (questions: readonly string[]): string[] =>
  execFileSync(build.path, { input: `${questions.join("\n")}\n`, encoding: "utf8" })
    .replace(/\n$/, "")
    .split("\n");

const codecNumber = (name: string): number => codecNames.findIndex((known) => known === name);

test("golden frames are read", () => {
  const answers = ask(framesFile.map(({ line }) => `frame ${line}`));
  expect(answers).toEqual(
    framesFile.map(({ type, session, number, payload }) => `${type} ${session} ${number} ${payload}`),
  );
});

test("a golden frame with any bit flipped is dropped, and the one after it is read", () => {
  const { line, type, session, number, payload } = framesFile.find(({ name }) => name === "BAND")!;
  const whole = `${type} ${session} ${number} ${payload}`;
  const questions: string[] = [];
  for (let bit = 8; bit < line.length * 4 - 8; bit++) {
    const hit = Buffer.from(line, "hex");
    hit[bit >> 3]! ^= 1 << (bit & 7);
    questions.push(`frame ${hit.toString("hex")}`, `frame ${line}`);
  }
  ask(questions).forEach((answer, i) => expect(answer).toBe(i % 2 ? whole : "none"));
});

test("golden bands are undone", () => {
  const answers = ask(
    bandsFile.bands.map(
      ({ codec, strideBytes, plain, coded }) =>
        `band ${codecNumber(codec)} ${strideBytes} ${plain.length / 2} ${coded}`,
    ),
  );
  expect(answers).toEqual(bandsFile.bands.map(({ plain }) => plain));
});

test("golden damage is refused", () => {
  const answers = ask(
    bandsFile.damaged.map(
      ({ codec, strideBytes, plainBytes, coded }) =>
        `band ${codecNumber(codec)} ${strideBytes} ${plainBytes} ${coded}`,
    ),
  );
  expect(answers).toEqual(bandsFile.damaged.map(() => "none"));
});

test.each(streamsFile)("golden sequence, $name: $verdict", ({ messages, verdict }) => {
  const answers = ask(["stream", ...messages.map(({ type, payload }) => `message ${type} ${payload}`)]);
  expect(answers.slice(0, -1).every((refusal) => refusal === "0")).toBe(true);
  expect(answers.at(-1)).toBe(String(verdict === "accepted" ? 0 : refusals.indexOf(verdict as Refusal)));
});
