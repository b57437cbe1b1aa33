/** Small files, and their folders, that a power cut leaves as they were or as they are to be. */
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

/** Makes a folder, and those above it, that no power cut takes away again. */
export function makeFolder(path: string): void {
  const made = mkdirSync(path, { recursive: true });
  if (made === undefined) return;
  const first = resolve(made);
  for (let at = resolve(path); ; at = dirname(at)) {
    syncFolder(dirname(at));
    if (at === first) return;
  }
}

/**
 * The file holds `text`, for good, when this returns; whenever the power goes before, it holds that or what it held. Its folder
 * is made. Synchronous, for what must be safe before anything else happens; `updates/disk.ts` does the same in steps, between
 * which tests cut the power.
 */
export function replaceFile(path: string, text: string, mode: number): void {
  const folder = dirname(path);
  makeFolder(folder);
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
  syncFolder(folder);
}
