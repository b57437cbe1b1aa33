/** The folder that sheets go to: looked at before anything starts. */
import { access, constants, mkdir, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { PlatenError } from "@platen/proto";

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;
const exists = (path: string): Promise<boolean> => stat(path).then(Boolean, () => false);

/** Not by mkdir's own recursion, which takes a read-only file system for a missing folder, and never ends under /proc. */
async function makeFolders(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (codeOf(error) === "EEXIST") return;
    if (codeOf(error) !== "ENOENT" || (await exists(dirname(path)))) throw error;
    await makeFolders(dirname(path));
    await mkdir(path);
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "it may not be written to",
  EPERM: "it may not be written to",
  EROFS: "the file system is read-only",
  ENOTDIR: "it is not a folder",
};

/** Makes the folder where it is not there, and returns its whole path. Throws `invalid-argument` when sheets cannot go to it. */
export async function openOutDir(name: string): Promise<string> {
  if (name === "") throw new PlatenError("invalid-argument", "--out needs the name of a folder");
  const path = resolve(name);
  try {
    await makeFolders(path);
    if (!(await stat(path)).isDirectory()) throw Object.assign(new Error(), { code: "ENOTDIR" });
    await access(path, constants.W_OK | constants.X_OK);
    return path;
  } catch (cause) {
    const why = reasons[codeOf(cause) ?? ""] ?? (cause as Error).message;
    const message = `cannot put sheets into ${path}: ${why}; name another folder with --out`;
    throw new PlatenError("invalid-argument", message, { cause });
  }
}
