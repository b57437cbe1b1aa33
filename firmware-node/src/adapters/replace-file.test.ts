import type * as NodeFs from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { replaceFile } from "./replace-file.ts";

/** What was done, in order. */
const steps = vi.hoisted((): string[] => []);

vi.mock("node:fs", async (importOriginal) => {
  const fs = await importOriginal<typeof NodeFs>();
  return {
    ...fs,
    fsyncSync: (fd: number) => {
      steps.push(`sync ${fs.readlinkSync(`/proc/self/fd/${fd}`)}`);
      fs.fsyncSync(fd);
    },
    renameSync: (from: string, to: string) => {
      steps.push(`rename ${from} ${to}`);
      fs.renameSync(from, to);
    },
  };
});

test.runIf(process.platform === "linux")(
  "the bytes are on the disk before the name, and the names of file and folders when it returns",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "platen-replace-"));
    try {
      const path = join(folder, "a", "b", "file.json");
      replaceFile(path, "old", 0o600);
      expect(steps.splice(0)).toEqual([
        `sync ${join(folder, "a")}`,
        `sync ${folder}`,
        `sync ${path}.part`,
        `rename ${path}.part ${path}`,
        `sync ${join(folder, "a", "b")}`,
      ]);
      replaceFile(path, "new", 0o600);
      expect(steps.splice(0)).toEqual([
        `sync ${path}.part`,
        `rename ${path}.part ${path}`,
        `sync ${join(folder, "a", "b")}`,
      ]);
      expect(await readFile(path, "utf8")).toBe("new");
      expect(await readdir(join(folder, "a", "b"))).toEqual(["file.json"]);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);
