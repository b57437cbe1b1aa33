/** The archive that a kernel unpacks as its first root: cpio, the "new" ASCII format, nothing else. */

/** A directory has no `data`; a symbolic link's is its target. Paths have no leading slash; parents come before children. */
export interface CpioEntry {
  readonly path: string;
  readonly kind: "directory" | "file" | "link";
  readonly mode: number;
  readonly data?: Uint8Array;
}

const typeBits = { directory: 0o040000, file: 0o100000, link: 0o120000 } as const;

const padded = (length: number): number => (length + 3) & ~3;

function record(inode: number, mode: number, path: string, data: Uint8Array): Buffer {
  const name = Buffer.from(`${path}\0`);
  // inode, mode, uid, gid, links, mtime, size, device and its minor, the same of a node's, length of the name, checksum
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
  const nameEnd = padded(header.length + name.length);
  const bytes = Buffer.alloc(nameEnd + padded(data.length));
  bytes.write(header, "latin1");
  bytes.set(name, header.length);
  bytes.set(data, nameEnd);
  return bytes;
}

/** The archive: owned by root, without times, so that the same entries are the same bytes. */
export function cpio(entries: readonly CpioEntry[]): Buffer {
  const none = new Uint8Array();
  const records = entries.map(({ path, kind, mode, data }, index) =>
    record(index + 1, typeBits[kind] | mode, path, data ?? none),
  );
  return Buffer.concat([...records, record(0, 0, "TRAILER!!!", none)]);
}
