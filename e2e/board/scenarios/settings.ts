/** Settings that cannot be right: the maker reads why on a PC, puts them right, and the board starts. */
import { textInBoot, writeToBoot } from "../../../hw/flash/src/fat.ts";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failed } from "../failed.ts";
import type { Scenario } from "./scenario.ts";

export const settings: Scenario = {
  name: "settings",
  title: "a wrong platen.toml: the error can be read on the boot partition; put right, the board starts",
  async run(stand, notes) {
    // As a text editor would leave it: `platen-flash provision` would not have written it.
    await stand.blankCard();
    const wrong = stand.settings
      .replace(/^resolution = .*$/m, 'resolution = "fine"')
      .replace(/^port = .*$/m, 'port = "COM3"');
    const folder = await mkdtemp(join(tmpdir(), "platen-settings-"));
    try {
      await writeFile(join(folder, "platen.toml"), wrong);
      await writeToBoot(stand.card, join(folder, "platen.toml"), "platen.toml");
    } finally {
      await rm(folder, { recursive: true });
    }
    await stand.powerOn();
    await stand.root("until systemctl is-active -q multi-user.target; do sleep 1; done");
    await stand.powerDown();
    const error = await textInBoot(stand.card, "platen-error.txt");
    for (const what of ["printer.resolution", "engine.port"]) {
      if (!error?.includes(what))
        throw new Failed(`platen-error.txt does not name ${what}: ${error ?? "it is not there"}`);
    }
    notes.saw("platen-error.txt names each mistake and where it is");
    notes.figure("platen-error.txt", error!.replaceAll(/\s+/g, " ").trim());

    await stand.provision(stand.settings);
    await stand.powerOn();
    await stand.ready();
    if ((await textInBoot(stand.card, "platen-error.txt")) !== undefined)
      throw new Failed("platen-error.txt is still there");
    notes.saw("put right, the board is ready, and the error is gone");
  },
};
