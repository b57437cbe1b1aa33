/** `platen-flash compare`: whether two builds are the same bytes, and if not, where they differ. */
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { PlatenError } from "@platen/proto";
import { decodeHead, headMaxBytes } from "@platen/proto/bundle";
import { partitions } from "./card.ts";

/** A part of a file that has a name of its own. */
export interface Region {
  readonly name: string;
  readonly startBytes: number;
}

/** What differs in one region. */
export interface Difference {
  readonly region: string;
  /** From the file's start to the first byte that differs, and how many do. */
  readonly firstBytes: number;
  readonly countBytes: number;
}

const chunkBytes = 1 << 20;

const cardRegions: readonly Region[] = [
  { name: "partition table", startBytes: 0 },
  ...["boot", "root a", "root b", "data"].map((name, index) => ({
    name: `partition ${index + 1} (${name})`,
    startBytes: partitions[index]!.startBytes,
  })),
];

/** The parts of a file of a build, by its name. Of a bundle these depend on what is in it. */
async function regionsOf(path: string): Promise<readonly Region[]> {
  if (path.endsWith(".img")) return cardRegions;
  if (!path.endsWith(".bundle")) return [{ name: "file", startBytes: 0 }];
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(headMaxBytes), 0, headMaxBytes, 0);
  const { payloadStart } = decodeHead(buffer.subarray(0, bytesRead), undefined);
  return [
    { name: "manifest and signature", startBytes: 0 },
    { name: "payload", startBytes: payloadStart },
  ];
}

/** Compares two files byte by byte. Where one is longer, its rest differs. Resolves to what differs, region by region. */
export async function compareFiles(
  a: string,
  b: string,
  regions: readonly Region[],
  signal?: AbortSignal,
): Promise<Difference[]> {
  await using one = await open(a);
  await using other = await open(b);
  const found = new Map<string, Difference>();
  const note = (at: number, count: number) => {
    const region = regions.findLast(({ startBytes }) => startBytes <= at)?.name ?? "file";
    const { firstBytes = at, countBytes = 0 } = found.get(region) ?? {};
    found.set(region, { region, firstBytes, countBytes: countBytes + count });
  };
  const buffers = [Buffer.alloc(chunkBytes), Buffer.alloc(chunkBytes)] as const;
  for (let position = 0; ; position += chunkBytes) {
    signal?.throwIfAborted();
    const [{ bytesRead: ours }, { bytesRead: theirs }] = await Promise.all([
      one.read(buffers[0], 0, chunkBytes, position),
      other.read(buffers[1], 0, chunkBytes, position),
    ]);
    const both = Math.min(ours, theirs);
    if (!buffers[0].subarray(0, both).equals(buffers[1].subarray(0, both))) {
      for (let at = 0; at < both; at++) if (buffers[0][at] !== buffers[1][at]) note(position + at, 1);
    }
    if (ours !== theirs) {
      // `stat` tells the rest of the longer one without reading it.
      const [{ size: sizeA }, { size: sizeB }] = await Promise.all([one.stat(), other.stat()]);
      note(position + both, Math.abs(sizeA - sizeB));
      return [...found.values()];
    }
    if (both < chunkBytes) return [...found.values()];
  }
}

/** The files that two folders, or two files, put beside each other. Throws `invalid-argument` when one lacks what the other has. */
async function pairs(a: string, b: string): Promise<(readonly [string, string])[]> {
  const isFolder = async (path: string) => (await stat(path)).isDirectory();
  if (!(await isFolder(a)) && !(await isFolder(b))) return [[a, b]];
  const namesOf = async (folder: string) =>
    (await readdir(folder)).filter((name) => name.startsWith("platen-")).sort();
  const [ours, theirs] = [await namesOf(a), await namesOf(b)];
  if (ours.length === 0 || ours.join() !== theirs.join()) {
    const lists = `${a}: ${ours.join(", ") || "nothing"}; ${b}: ${theirs.join(", ") || "nothing"}`;
    throw new PlatenError("invalid-argument", `these are not two builds of the same kind. ${lists}`);
  }
  return ours.map((name) => [join(a, name), join(b, name)] as const);
}

/** Compares two builds: folders of `platen-flash build`, or one file of each. Resolves to whether they are the same bytes. */
export async function compareBuilds(
  a: string,
  b: string,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<boolean> {
  let same = true;
  for (const [one, other] of await pairs(a, b)) {
    const differences = await compareFiles(one, other, await regionsOf(one), signal);
    if (differences.length === 0) say(`${one}: the same`);
    else same = false;
    for (const { region, firstBytes, countBytes } of differences) {
      say(`${one}: ${region}: ${countBytes} bytes differ, the first at ${firstBytes}`);
    }
  }
  return same;
}
