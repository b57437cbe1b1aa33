import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Board, errorFile, provisionBoard, settingsFile, takenFile } from "./provision-board.ts";

const toml = `
[printer]
id = "office"
[backend]
address = "print.example:6310"
tls = true
enrolment_key = "hush"
[engine]
pictures = true
`;

let folder: string;
let board: Board;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "platen-provision-"));
  const [boot, system, prefix] = ["boot", "system", "root"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const each of [boot, system, prefix]) await mkdir(each);
  const owner = { uid: process.getuid!(), gid: process.getgid!() };
  board = { boot, system, prefix, owner, writable: (work) => work() };
});
afterEach(() => rm(folder, { recursive: true }));

const give = (text: string) => writeFile(join(board.boot, settingsFile), text);
const config = async () =>
  JSON.parse(await readFile(join(board.prefix, "data/config/printer.json"), "utf8")) as Record<
    string,
    unknown
  >;

test("settings are taken over, and their secrets wiped from the boot partition", async () => {
  await give(toml);
  expect(await provisionBoard(board)).toBe("office");
  expect(await config()).toMatchObject({ printerId: "office", enrolmentKey: "hush" });
  expect(await readdir(board.boot)).toEqual([takenFile]);
  expect(await readFile(join(board.boot, takenFile), "utf8")).not.toContain("hush");
  const stored = await stat(join(board.system, settingsFile));
  expect(stored.mode & 0o777).toBe(0o600);
  expect((await stat(join(board.prefix, "data/config/printer.json"))).mode & 0o777).toBe(0o640);
  expect((await stat(join(board.prefix, "data/config"))).mode & 0o777).toBe(0o750);
});

test("the next start sets the board up after what it has", async () => {
  await give(toml);
  await provisionBoard(board);
  await rm(board.prefix, { recursive: true });
  expect(await provisionBoard(board)).toBe("office");
  expect(await config()).toMatchObject({ printerId: "office" });
});

test("a board without settings is left alone", async () => {
  expect(await provisionBoard(board)).toBeUndefined();
  expect(await readdir(board.prefix)).toEqual([]);
});

test("a mistake is said on the boot partition, the board goes on as it was, and a right file ends the complaint", async () => {
  await give(toml);
  await provisionBoard(board);
  await give(toml.replace("pictures = true", 'port = "COM1"'));
  expect(await provisionBoard(board)).toBe("office");
  const complaint = await readFile(join(board.boot, errorFile), "utf8");
  expect(complaint).toMatch(/engine\.port: must be a serial line/);
  expect(complaint).not.toContain("hush");
  expect(await config()).toMatchObject({ sink: "png:/data/platen/sheets" });
  await give(toml.replace('"office"', '"hall"'));
  expect(await provisionBoard(board)).toBe("hall");
  expect(await readdir(board.boot)).toEqual([takenFile]);
});

test("the file that the board left behind can be changed and given back without its secrets", async () => {
  await give(toml);
  await provisionBoard(board);
  const taken = await readFile(join(board.boot, takenFile), "utf8");
  await give(taken.replace('"office"', '"hall"'));
  expect(await provisionBoard(board)).toBe("hall");
  expect(await config()).toMatchObject({ printerId: "hall", enrolmentKey: "hush" });
});

test("a boot partition that cannot be written to keeps nothing from being set up; the file is wiped once it can", async () => {
  await give(toml);
  const cut: Board = {
    ...board,
    writable: () => Promise.reject(new Error("mount: cannot remount read-write")),
  };
  expect(await provisionBoard(cut)).toBe("office");
  expect(await config()).toMatchObject({ printerId: "office" });
  expect(await readdir(board.boot)).toEqual([settingsFile]);
  expect(await provisionBoard(board)).toBe("office");
  expect(await readdir(board.boot)).toEqual([takenFile]);
});

test("settings that the board cannot read any more are replaced by a right file", async () => {
  await writeFile(join(board.system, settingsFile), "");
  expect(await provisionBoard(board)).toBeUndefined();
  await give(toml);
  expect(await provisionBoard(board)).toBe("office");
  await rm(board.prefix, { recursive: true });
  expect(await provisionBoard(board)).toBe("office");
});

test("settings that cannot be kept hold for this start, and stay on the boot partition", async () => {
  await give(toml);
  await rm(board.system, { recursive: true });
  await writeFile(board.system, "");
  expect(await provisionBoard(board)).toBe("office");
  expect(await config()).toMatchObject({ printerId: "office" });
  expect(await readdir(board.boot)).toEqual([settingsFile]);
});

test("root writes nothing where the printer's program could have put a link", async () => {
  await give(toml);
  await provisionBoard(board);
  expect(await readdir(join(board.prefix, "data"))).toEqual(["config"]);
});

test("nothing is written that has not changed", async () => {
  await give(toml);
  await provisionBoard(board);
  const file = join(board.prefix, "data/config/printer.json");
  const { ino } = await stat(file);
  await provisionBoard(board);
  expect((await stat(file)).ino).toBe(ino);
});
