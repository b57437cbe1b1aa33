#!/usr/bin/env node
/**
 * An update on a file system that is full sooner or later: given a folder that a tmpfs is mounted on, which this process may mount
 * anew, and the bundles of 1.0.0 and 1.1.0, tries it with one page of space more each time until it is done. Says what became of
 * each attempt, a line of JSON each.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { toPlatenError } from "@platen/proto";
import { Board } from "../board.ts";
import { download } from "../download.ts";
import { keySetBytes } from "./bundles.ts";

export interface Attempt {
  /** Space that there was beside what 1.0.0 takes, bytes. */
  readonly freeBytes: number;
  /** The step that failed, and how; undefined: none did. */
  readonly failed?: { readonly step: "download" | "install" | "askTrial"; readonly code: string };
  /** What a board starts afterwards. */
  readonly next: string;
  readonly slots: readonly string[];
  /** What is taken then, downloads left out, beside what 1.0.0 takes, bytes. */
  readonly takenBytes: number;
}

const [folder, first, second] = process.argv.slice(2) as [string, string, string];
const pageBytes = 4096;
const { signal } = new AbortController();
const here = { board: "linux-test", channel: "stable" } as const;

const resize = (bytes: number) =>
  promisify(execFile)("mount", ["-o", `remount,size=${bytes}`, "tmpfs", folder]);
const usedBytes = async (): Promise<number> => {
  const { blocks, bfree, bsize } = await statfs(folder);
  return (blocks - bfree) * bsize;
};
const nextOf = async (board: Board): Promise<string> => {
  const { slot, trial } = await board.next();
  return `${slot.manifest.version}${trial ? " on trial" : ""}`;
};

const bytes = await readFile(second);
const wanted = { sha256: createHash("sha256").update(bytes).digest("hex"), sizeBytes: bytes.length };
/** As a server would send it: in pieces. */
async function* from(startByte: number): AsyncGenerator<Uint8Array> {
  for (let at = startByte; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
}

const board = new Board(join(folder, "board"));
await board.prepare(keySetBytes);
await board.install(first, here);
await board.adopt();
await nextOf(board);
const downloads = join(board.root, "downloads");
const beforeBytes = await usedBytes();

async function attempt(): Promise<Attempt["failed"]> {
  let step: "download" | "install" | "askTrial" = "download";
  try {
    const bytesFrom = async (startByte: number) => ({ startByte, bytes: from(startByte) });
    const file = await download(downloads, wanted, bytesFrom, () => {}, signal);
    step = "install";
    const { payload } = await board.install(file, here);
    step = "askTrial";
    await board.askTrial(payload.sha256);
    return undefined;
  } catch (error) {
    return { step, code: toPlatenError(error).code };
  }
}

for (let freeBytes = 0, isDone = false; !isDone; freeBytes += pageBytes) {
  await resize(beforeBytes + freeBytes);
  const failed = await attempt();
  isDone = failed === undefined;
  const next = await nextOf(new Board(board.root));
  await rm(downloads, { recursive: true });
  const takenBytes = (await usedBytes()) - beforeBytes;
  const slots = (await readdir(join(board.root, "slots"))).sort();
  const result: Attempt = { freeBytes, ...(failed && { failed }), next, slots, takenBytes };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
