import type * as NodeFs from "node:fs";
import type * as NodeFsPromises from "node:fs/promises";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { expect, test, vi } from "vitest";
import { PngJob } from "./png-job.ts";

/** What was done, in order. */
const steps = vi.hoisted((): string[] => []);

vi.mock("node:fs", async (importOriginal) => {
  const fs = await importOriginal<typeof NodeFs>();
  const synced = (fd: number) => steps.push(`sync ${basename(fs.readlinkSync(`/proc/self/fd/${fd}`))}`);
  const fsync: typeof fs.fsync = Object.assign((fd: number, done: NodeFs.NoParamCallback) => {
    synced(fd);
    fs.fsync(fd, done);
  }, fs.fsync);
  return {
    ...fs,
    createWriteStream: (path: string, options: object) =>
      fs.createWriteStream(path, { ...options, fs: { ...fs, fsync } } as never),
    fsyncSync: (fd: number) => {
      synced(fd);
      fs.fsyncSync(fd);
    },
  };
});
vi.mock("node:fs/promises", async (importOriginal) => {
  const fs = await importOriginal<typeof NodeFsPromises>();
  return {
    ...fs,
    rename: async (from: string, to: string) => {
      steps.push(`name ${basename(to)}`);
      await fs.rename(from, to);
    },
  };
});

test.runIf(process.platform === "linux")(
  "a sheet is on the disk before it has its names, and both are before it counts as stacked",
  async () => {
    const root = await mkdtemp(join(tmpdir(), "platen-durable-"));
    try {
      const job = await PngJob.open(root, "job");
      expect(steps.splice(0)).toEqual([`sync ${basename(root)}`]);
      await job.startPage({
        impressionNumber: 1,
        sheetNumber: 1,
        side: "front",
        lastOfSheet: true,
        widthPx: 16,
        heightPx: 8,
        resolutionDpi: 600,
        colorants: ["black"],
        media: "iso_a4_210x297mm",
        mediaWidthUm: 210_000,
        mediaHeightUm: 297_000,
      });
      await job.writeBand({ yPx: 0, rowsPx: 8, strideBytes: 2, planes: [] });
      await job.endPage();
      await job.stack(1);
      const [black, preview] = ["sheet-0001-front-black.png", "sheet-0001-front.png"];
      expect(steps.slice(0, 2).sort()).toEqual([`sync ${black}.part`, `sync ${preview}.part`].sort());
      expect(steps.slice(2)).toEqual([
        `name ${black}`,
        `name ${preview}`,
        "sync .sheets-stacked.part",
        "sync job",
      ]);
    } finally {
      await rm(root, { recursive: true });
    }
  },
);
