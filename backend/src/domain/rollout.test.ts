import { expect, test } from "vitest";
import { parsePrinterId } from "./ids.ts";
import { isIncluded } from "./rollout.ts";

const printers = Array.from({ length: 2000 }, (_, i) => parsePrinterId(`printer-${i}`));
const chosen = (version: string, percent: number) =>
  printers.filter((printer) => isIncluded(printer, version, percent));

test("0 percent is no printer, 100 is every one", () => {
  expect(chosen("1.1.0", 0)).toEqual([]);
  expect(chosen("1.1.0", 100)).toEqual(printers);
});

test("a higher percentage only adds printers", () => {
  for (const [low, high] of [
    [1, 5],
    [5, 50],
    [50, 99],
  ] as const) {
    const more = new Set(chosen("1.1.0", high));
    expect(chosen("1.1.0", low).every((printer) => more.has(printer))).toBe(true);
  }
});

test("a percentage is about that part of the printers", () => {
  // Three standard deviations of a binomial distribution.
  expect(Math.abs(chosen("1.1.0", 10).length - 200)).toBeLessThan(3 * Math.sqrt(2000 * 0.1 * 0.9));
});

test("other printers go first with another version", () => {
  const first = new Set(chosen("1.1.0", 10));
  const again = chosen("1.2.0", 10).filter((printer) => first.has(printer));
  expect(again.length).toBeLessThan(60);
});
