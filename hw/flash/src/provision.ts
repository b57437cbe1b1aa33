/** `platen-flash provision`: puts settings onto a card that has not been started yet, or is to have others. */
import { copyFile, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { PlatenError } from "@platen/proto";
import { requirePrograms } from "./command.ts";
import { writeToBoot } from "./fat.ts";
import { settingsFile } from "./provision-board.ts";
import { parseSettings } from "./settings.ts";

/**
 * Checks the settings in `file`, and puts them onto `target`: an image, a card's device, or the folder where its boot partition
 * is mounted. Without a target they are only checked. Throws `configuration`, with a line for each mistake.
 */
export async function provision(
  target: string | undefined,
  file: string,
  say: (line: string) => void = () => {},
): Promise<void> {
  const toml = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    const missing = `there is no ${file}: begin with a copy of hw/flash/board/platen.toml.example`;
    throw new PlatenError(
      "configuration",
      cause.code === "ENOENT" ? missing : `${file} cannot be read: ${cause.message}`,
      { cause },
    );
  });
  const { printer, backend } = parseSettings(toml);
  if (target === undefined) return say(`${file} is right: printer ${printer.id} at ${backend.address}`);
  const info = await stat(target).catch((cause: NodeJS.ErrnoException) => {
    const missing = `there is no image, card or folder ${target}`;
    throw new PlatenError(
      "invalid-argument",
      cause.code === "ENOENT" ? missing : `${target} cannot be reached: ${cause.message}`,
      { cause },
    );
  });
  if (info.isDirectory()) {
    // A boot partition is told by what the board's firmware reads; settings on another disk would be lost silently.
    await stat(join(target, "config.txt")).catch(() => {
      throw new PlatenError("invalid-argument", `${target} is no boot partition: it has no config.txt`);
    });
    await copyFile(file, join(target, settingsFile));
  } else {
    await requirePrograms(["mcopy"]);
    await writeToBoot(target, file, settingsFile);
  }
  say(`${target} will be printer ${printer.id} at ${backend.address}`);
}
