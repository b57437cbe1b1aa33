import { describe, expect, it } from "vitest";
import type { TraySheet } from "./machines.ts";
import { asText, type BoardReport, passed, type ScenarioReport } from "./report.ts";
import { difference } from "./sheets.ts";

const scenario = (more: Partial<ScenarioReport> = {}): ScenarioReport => ({
  name: "print",
  title: "a job prints",
  tookS: 9,
  checks: ["three sheets"],
  figures: { "memory, MiB": 120 },
  ...more,
});
const report = (more: Partial<BoardReport> = {}): BoardReport => ({
  image: "platen-arm64.img",
  startedAt: "2026-01-01T00:00:00.000Z",
  seed: 1,
  sizes: { "platen-arm64.img.zst": 2 ** 20 },
  scenarios: [scenario()],
  complete: true,
  ...more,
});

describe("a report of the emulated board", () => {
  it("says what was seen, what was measured, and how it ended", () => {
    const text = asText(report());
    expect(text).toMatch(/^ok +print: a job prints \(9 s\)$/m);
    for (const part of [
      "+ three sheets",
      "= memory, MiB: 120",
      "platen-arm64.img.zst: 1.0 MiB",
      "1 of 1 passed",
    ]) {
      expect(text).toContain(part);
    }
  });

  it("passes only when it is complete and nothing failed", () => {
    const failed = report({
      scenarios: [scenario(), scenario({ failure: "the engine stacked sheets 1, 1" })],
    });
    expect(passed(report())).toBe(true);
    expect(passed(failed)).toBe(false);
    expect(asText(failed)).toMatch(/FAILED print[^]*sheets 1, 1[^]*1 of 2 passed/);
    expect(passed(report({ complete: false }))).toBe(false);
    expect(asText(report({ complete: false }))).toMatch(/interrupted\n$/);
  });
});

describe("sheets", () => {
  const sheet = (change: (black: Uint8Array) => void = () => {}, widthPx = 16): TraySheet => {
    const planes = new Map([
      ["cyan", new Uint8Array(6)],
      ["black", new Uint8Array(6)],
    ] as const);
    change(planes.get("black")!);
    const side = { side: "front", widthPx, heightPx: 3, strideBytes: 2, planes } as const;
    return { jobKey: "1", sheetNumber: 1, content: { jobId: "1", sheetNumber: 1, sides: [side] } };
  };

  it("are the same when every bit is", () => {
    expect(difference(sheet(), sheet())).toBeUndefined();
  });

  it("differ by one bit, and it is said where", () => {
    const other = sheet((black) => {
      black[5] = 0x01;
    });
    expect(difference(other, sheet())).toBe("black at row 2, byte 1");
  });

  it("are told apart by their digests where an engine shows no more", () => {
    const digest = (content: number): TraySheet => ({ jobKey: "1", sheetNumber: 1, content });
    expect(difference(digest(5), digest(5))).toBeUndefined();
    expect(difference(digest(5), digest(6))).toBe("digest 5 and not 6");
  });

  it("differ by their size", () => {
    expect(difference(sheet(undefined, 15), sheet())).toBe("15 × 3 and not 16 × 3 dots");
  });
});
