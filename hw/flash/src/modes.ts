/** Modes of files that do not depend on the umask of who cloned, installed or builds. */
import { chmod, lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Lets all read what is in `folder`, itself included, its owner write, and run what was to be run. Links have no modes. */
export async function evenModes(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const isRun = entry.isDirectory() || ((await lstat(path)).mode & 0o100) !== 0;
    await chmod(path, isRun ? 0o755 : 0o644);
  }
}
