import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type DebianPackage, differences, formatLock, linesOf, paragraphsOf, parseLock } from "./debian.ts";

const sha256 = (digit: string): string => digit.repeat(64);
const bash: DebianPackage = { name: "bash", version: "5.2-1", architecture: "arm64", sha256: sha256("a") };
const apt: DebianPackage = { name: "apt", version: "2.6.2", architecture: "arm64", sha256: sha256("b") };

test("a lock is read as it was written", () => {
  expect(parseLock(formatLock([apt, bash]))).toEqual([apt, bash]);
});

test("a line that is none is refused, with the line", () => {
  expect(() => parseLock("bash 5.2-1 arm64 123\n")).toThrow("bash 5.2-1 arm64 123");
  expect(() => parseLock(`bash 5.2-1 arm64 ${sha256("a")} more\n`)).toThrow("no locked package");
});

test("packages that differ from the lock are named: another version, other contents, one too many, one missing", () => {
  expect(differences([apt, bash], [apt, bash])).toEqual([]);
  expect(differences([{ ...bash, version: "5.2-2" }], [bash])).toEqual(["bash: 5.2-1 is locked, 5.2-2 came"]);
  expect(differences([{ ...bash, sha256: sha256("c") }], [bash])).toEqual([
    "bash 5.2-1: has other contents than locked",
  ]);
  expect(differences([apt], [bash])).toEqual(["apt 2.6.2: is not locked", "bash 5.2-1: did not come"]);
});

test("fields of Debian's control format, continuation lines left out", () => {
  const text = "Package: apt\nVersion: 2.6.2\nDescription: x\n SHA256: no\nSHA256: b\n\nPackage: bash\n";
  expect(paragraphsOf(text, ["Package", "SHA256"]).map((fields) => [...fields])).toEqual([
    [
      ["Package", "apt"],
      ["SHA256", "b"],
    ],
    [["Package", "bash"]],
  ]);
});

test("the committed lock holds every package that the image asks for", async () => {
  const board = join(import.meta.dirname, "../board");
  const locked = parseLock(await readFile(join(board, "debian.lock"), "utf8")).map(({ name }) => name);
  const asked = linesOf(await readFile(join(board, "packages.txt"), "utf8"));
  expect(asked.filter((name) => !locked.includes(name))).toEqual([]);
  expect(locked.length).toBeGreaterThan(asked.length);
});
