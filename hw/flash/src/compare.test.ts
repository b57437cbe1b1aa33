import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compareBuilds, compareFiles } from "./compare.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "platen-compare-"));
});
afterAll(() => rm(folder, { recursive: true }));

const regions = [
  { name: "head", startBytes: 0 },
  { name: "middle", startBytes: 10 },
  { name: "end", startBytes: 2_000_000 },
];

async function file(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, bytes);
  return path;
}

const plain = (length = 3_000_000): Buffer => Buffer.alloc(length, "the same");

test("what differs is counted in the part that it lies in", async () => {
  const changed = plain();
  for (const at of [9, 1_048_575, 1_048_576, 1_999_999, 2_000_000]) changed[at]! ^= 1;
  const [a, b] = [await file("a", plain()), await file("b", changed)];
  expect(await compareFiles(a, a, regions)).toEqual([]);
  expect(await compareFiles(a, b, regions)).toEqual([
    { region: "head", firstBytes: 9, countBytes: 1 },
    { region: "middle", firstBytes: 1_048_575, countBytes: 3 },
    { region: "end", firstBytes: 2_000_000, countBytes: 1 },
  ]);
});

test.each([3, 2_900_000])("a file that is %i bytes longer differs in these", async (more) => {
  const [a, b] = [await file("short", plain(100_000)), await file("long", plain(100_000 + more))];
  const difference = [{ region: "middle", firstBytes: 100_000, countBytes: more }];
  expect(await compareFiles(a, b, regions)).toEqual(difference);
  expect(await compareFiles(b, a, regions)).toEqual(difference);
});

test("builds are compared file by file; what is not of the build is left alone", async () => {
  for (const build of ["one", "two"]) {
    await file(`${build}/platen-arm64.sbom.cdx.json`, plain());
    await file(`${build}/notes.txt`, Buffer.from(build));
  }
  const lines: string[] = [];
  const compared = () => compareBuilds(join(folder, "one"), join(folder, "two"), (line) => lines.push(line));
  expect(await compared()).toBe(true);
  await file("two/platen-arm64.sbom.cdx.json", plain().fill("x", 5, 7));
  expect(await compared()).toBe(false);
  expect(lines.at(-1)).toMatch(/sbom.cdx.json: file: 2 bytes differ, the first at 5$/);
  await file("two/platen-arm64.img", plain());
  await expect(compared()).rejects.toThrow("not two builds of the same kind");
});
