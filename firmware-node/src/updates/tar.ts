/**
 * The payload of a bundle: files, folders and symbolic links in a tar (POSIX ustar). The same folder makes the same bytes
 * wherever and whenever it is packed. What is unpacked stays in its folder, whatever the archive says.
 */
import { open, lstat, readdir, readlink } from "node:fs/promises";
import { posix } from "node:path";
import { PlatenError } from "@platen/proto";
import { Header, Parser, type ReadEntry } from "tar";
import { type Disk, readFrom } from "./disk.ts";

const blockBytes = 512;
const epoch = new Date(0);

const invalid = (what: string): PlatenError => new PlatenError("update-invalid", `the payload ${what}`);

export interface TarSize {
  files: number;
  /** Of all files together. */
  bytes: number;
}

type Kind = "Directory" | "File" | "SymbolicLink";

/** Everything below `folder`, folders before what is in them, in the order of the names' bytes. */
async function* walk(folder: string, inner = ""): AsyncGenerator<{ path: string; kind: Kind }> {
  const entries = await readdir(`${folder}/${inner}`, { withFileTypes: true });
  entries.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  for (const entry of entries) {
    const path = inner + entry.name;
    if (entry.isSymbolicLink()) yield { path, kind: "SymbolicLink" };
    else if (entry.isFile()) yield { path, kind: "File" };
    else if (entry.isDirectory()) {
      yield { path, kind: "Directory" };
      yield* walk(folder, `${path}/`);
    } else throw invalid(`cannot hold ${path}: it is no file, folder or symbolic link`);
  }
}

function headerOf(path: string, kind: Kind, mode: number, size: number, linkpath: string): Uint8Array {
  const type = kind === "Directory" ? { path: `${path}/`, type: kind } : { path, type: kind };
  const owner = { uid: 0, gid: 0, uname: "", gname: "" };
  const header = new Header({ ...type, ...owner, mode, size, linkpath, mtime: epoch });
  const block = Buffer.alloc(blockBytes);
  // True: something does not fit into a plain header.
  if (header.encode(block)) throw invalid(`cannot hold ${path}: its path is too long`);
  return block;
}

/** The archive of a folder; `count` is brought up to date on the way. A path that would not be unpacked throws `update-invalid`. */
export async function* packTar(folder: string, count: TarSize): AsyncGenerator<Uint8Array> {
  for await (const { path, kind } of walk(folder)) {
    checkPath(path);
    const full = `${folder}/${path}`;
    if (kind === "Directory") yield headerOf(path, kind, 0o755, 0, "");
    else if (kind === "SymbolicLink") {
      const target = await readlink(full);
      checkLink(path, target);
      yield headerOf(path, kind, 0o777, 0, target);
    } else {
      const { mode, size } = await lstat(full);
      yield headerOf(path, kind, mode & 0o111 ? 0o755 : 0o644, size, "");
      let left = size;
      await using file = await open(full);
      for await (const chunk of readFrom(file, 0)) {
        left -= chunk.length;
        yield chunk;
      }
      if (left !== 0) throw invalid(`cannot hold ${path}: it changed while it was packed`);
      yield Buffer.alloc(-size & (blockBytes - 1));
      count.bytes += size;
    }
    count.files++;
  }
  yield Buffer.alloc(2 * blockBytes);
}

function checkPath(path: string): void {
  const segments = path.split("/");
  if (!/^[\x21-\x7e]+$/.test(path) || segments.some((part) => part === "" || part === "." || part === "..")) {
    throw invalid(`names ${JSON.stringify(path)}, which is no path inside it`);
  }
}

function checkLink(path: string, target: string): void {
  const meant = posix.normalize(posix.join(posix.dirname(path), target));
  if (
    !/^[\x21-\x7e]+$/.test(target) ||
    posix.isAbsolute(target) ||
    meant === ".." ||
    meant.startsWith("../")
  ) {
    throw invalid(`links ${path} to ${JSON.stringify(target)}, which is outside of it`);
  }
}

/** What one archive may unpack, entry by entry. */
class Guard {
  readonly #max: TarSize;
  readonly #seen: TarSize = { files: 0, bytes: 0 };
  /** Folders that this archive made: only in them may anything lie, so no link of its own can lead it elsewhere. */
  readonly #folders = new Set(["."]);
  readonly #paths = new Set<string>();
  constructor(max: TarSize) {
    this.#max = max;
  }

  /** The entry's path; throws `update-invalid`. */
  admit({ path: given, type, size, linkpath = "" }: ReadEntry): string {
    const path = type === "Directory" ? given.replace(/\/$/, "") : given;
    checkPath(path);
    if (type !== "File" && type !== "Directory" && type !== "SymbolicLink") {
      throw invalid(`holds ${path}, a ${type}, where only files, folders and symbolic links may be`);
    }
    if (!this.#folders.has(posix.dirname(path))) throw invalid(`puts ${path} into no folder of its own`);
    if (this.#paths.has(path)) throw invalid(`holds ${path} twice`);
    if (type === "SymbolicLink") checkLink(path, linkpath);
    this.#paths.add(path);
    if (type === "Directory") this.#folders.add(path);
    this.#seen.files++;
    this.#seen.bytes += size;
    if (this.#seen.files > this.#max.files || this.#seen.bytes > this.#max.bytes) {
      throw invalid("unpacks to more than its manifest says");
    }
    return path;
  }

  get folders(): readonly string[] {
    return [...this.#folders];
  }

  finish(): void {
    if (this.#seen.files !== this.#max.files || this.#seen.bytes !== this.#max.bytes) {
      throw invalid("unpacks to less than its manifest says");
    }
  }
}

async function unpackEntry(entry: ReadEntry, target: string, disk: Disk): Promise<void> {
  if (entry.type === "Directory") return disk.makeFolder(target);
  if (entry.type === "SymbolicLink") return disk.link(entry.linkpath ?? "", target);
  return disk.writeFile(target, entry, (entry.mode ?? 0) & 0o111 ? 0o755 : 0o644);
}

/**
 * Unpacks into `folder`, which is there and empty. Files are on the disk when it resolves, and the folders that list them.
 * Throws `update-invalid` for what is no archive of `packTar`'s kind or does not add up to `size`, `disk-full`.
 */
export async function unpackTar(
  archive: AsyncIterable<Uint8Array>,
  folder: string,
  size: TarSize,
  disk: Disk,
): Promise<void> {
  const guard = new Guard(size);
  const parser = new Parser({
    strict: true,
    brotli: false,
    zstd: false,
    maxMetaEntrySize: 0,
  });
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  const ended = Promise.withResolvers<void>();
  let work = Promise.resolve();
  parser.on("entry", (entry: ReadEntry) => {
    work = work.then(async () => {
      await unpackEntry(entry, `${folder}/${guard.admit(entry)}`, disk);
      entry.resume();
    });
    work.catch(failed.reject);
  });
  parser.on("error", (cause: Error) =>
    failed.reject(
      new PlatenError("update-invalid", `the payload is no archive: ${cause.message}`, { cause }),
    ),
  );
  parser.on("end", ended.resolve);
  const drained = (): Promise<void> => new Promise((resolve) => parser.once("drain", resolve));
  for await (const chunk of archive) {
    if (!parser.write(chunk)) await Promise.race([drained(), failed.promise]);
  }
  parser.end();
  await Promise.race([ended.promise, failed.promise]);
  await Promise.race([work, failed.promise]);
  guard.finish();
  for (const inner of guard.folders) await disk.syncFolder(inner === "." ? folder : `${folder}/${inner}`);
}
