import { chmod, lstat, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { evenModes } from "./modes.ts";

test("a tree made under any umask has the same modes; what is run stays so", async () => {
  const folder = await mkdtemp(join(tmpdir(), "platen-modes-"));
  try {
    const modes = async (directory: number, file: number, program: number): Promise<string[]> => {
      const tree = join(folder, String(directory));
      await mkdir(join(tree, "inner"), { recursive: true });
      await writeFile(join(tree, "inner/file"), "");
      await writeFile(join(tree, "program"), "");
      await symlink("program", join(tree, "link"));
      await chmod(join(tree, "inner/file"), file);
      await chmod(join(tree, "program"), program);
      await chmod(join(tree, "inner"), directory);
      await chmod(tree, directory);
      await evenModes(tree);
      const paths = [tree, ...["inner", "inner/file", "program"].map((path) => join(tree, path))];
      return Promise.all(paths.map(async (path) => ((await lstat(path)).mode & 0o7777).toString(8)));
    };
    for (const each of [await modes(0o700, 0o600, 0o700), await modes(0o777, 0o666, 0o777)]) {
      expect(each).toEqual(["755", "755", "644", "755"]);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
