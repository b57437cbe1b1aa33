/** Fetches a bundle, however often the line breaks or the power goes: what has come stays, and the rest is asked for. */
import { createHash } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { hasCode, PlatenError } from "@platen/proto";
import { backoffMs, sleep } from "../app/backoff.ts";
import { chunks, Patience } from "../app/patience.ts";
import { diskError, readFrom } from "./disk.ts";

export interface WantedBundle {
  /** Of the whole file, lower-case hexadecimal; it names the file here. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** The bundle's bytes from a byte on, or all of them: see HttpFetch.getFrom. */
export type FetchFrom = (
  startByte: number,
  signal: AbortSignal,
) => Promise<{ startByte: number; bytes: AsyncIterable<Uint8Array> }>;

/** Attempts in a row that bring nothing, before it is left for later. */
const fruitlessMax = 5;
/** A line on which nothing comes for so long is given up for another, milliseconds. */
const patienceDefaultMs = 60_000;
/** No bundle is larger, bytes. */
const sizeMaxBytes = 256 * 1024 * 1024;

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  );

/**
 * Resolves to the file, whole and of the wanted hash. Throws `download-failed` when other bytes came: they do not stay, and the
 * next attempt may bring the right ones. Throws `disk-full` (and gives the space back), `unavailable` or `deadline-exceeded` after a
 * few attempts that brought nothing, and what the server refuses with.
 */
export async function download(
  folder: string,
  wanted: WantedBundle,
  fetchFrom: FetchFrom,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
  patienceMs = patienceDefaultMs,
): Promise<string> {
  const { sha256, sizeBytes } = wanted;
  if (sizeBytes > sizeMaxBytes) throw new PlatenError("update-refused", "the bundle is too large");
  const [file, part] = [join(folder, `${sha256}.bundle`), join(folder, `${sha256}.part`)];
  await mkdir(folder, { recursive: true });
  if ((await sizeOf(file)) === sizeBytes && (await hashOf(file, signal)) === sha256) return file;
  // What lay here is not what was put here.
  await rm(file, { force: true });
  for (let fruitless = 0, before = await sizeOf(part); before < sizeBytes; ) {
    let failure: unknown = new PlatenError("unavailable", "the server ends before the bundle does");
    try {
      await append(part, before, sizeBytes, fetchFrom, onProgress, new Patience(patienceMs, signal));
    } catch (error) {
      signal.throwIfAborted();
      if (hasCode(error, "disk-full", "download-failed")) await rm(part, { force: true });
      if (!hasCode(error, "unavailable", "deadline-exceeded")) throw error;
      failure = error;
    }
    const have = await sizeOf(part);
    fruitless = have > before ? 0 : fruitless + 1;
    if (fruitless >= fruitlessMax) throw failure;
    if (have < sizeBytes) await sleep(backoffMs(Math.max(fruitless, 1)), signal);
    before = have;
  }
  if ((await hashOf(part, signal)) !== sha256) {
    await rm(part, { force: true });
    throw new PlatenError("download-failed", "other bytes came than were offered: the download is damaged");
  }
  await rename(part, file);
  return file;
}

async function append(
  part: string,
  before: number,
  sizeBytes: number,
  fetchFrom: FetchFrom,
  onProgress: (bytes: number) => void,
  patience: Patience,
): Promise<void> {
  const { startByte, bytes } = await patience.waitFor(fetchFrom(before, patience.signal));
  try {
    await using file = await open(part, startByte === 0 ? "w" : "a");
    let have = startByte;
    for await (const chunk of chunks(bytes, patience)) {
      patience.progress();
      have += chunk.length;
      if (have > sizeBytes) throw new PlatenError("download-failed", "more bytes came than were offered");
      await file.writeFile(chunk);
      onProgress(have);
    }
    await file.sync();
  } catch (error) {
    throw diskError(error);
  }
}

async function hashOf(path: string, signal: AbortSignal): Promise<string> {
  await using file = await open(path);
  const hash = createHash("sha256");
  for await (const chunk of readFrom(file, 0, signal)) hash.update(chunk);
  return hash.digest("hex");
}

/** Removes downloads that nobody wants any more. */
export async function sweepDownloads(folder: string, wanted: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!wanted.has(name.replace(/\.(bundle|part)$/, ""))) await rm(join(folder, name), { force: true });
  }
}
