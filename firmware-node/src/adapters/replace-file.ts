/** Small files that a power cut leaves as they were or as they are to be. */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/**
 * The file holds `text`, for good, when this returns; whenever the power goes before, it holds that or what it held. Its folder
 * is made. Synchronous, for what must be safe before anything else happens; `updates/disk.ts` does the same in steps, between
 * which tests cut the power.
 */
export function replaceFile(path: string, text: string, mode: number): void {
  const folder = dirname(resolve(path));
  const made = mkdirSync(folder, { recursive: true });
  const part = `${path}.part`;
  rmSync(part, { force: true });
  const file = openSync(part, "wx", mode);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(part, path);
  // The new name is on the disk when its folder is, and so are the names of folders that were made.
  const last = made === undefined ? folder : dirname(made);
  for (let at = folder; at.length >= last.length; at = dirname(at)) {
    syncFolder(at);
    if (at === last) return;
  }
}
