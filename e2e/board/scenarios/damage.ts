/** The data partition is damaged, as a worn card damages it: more than a check without questions mends. */
import { partitions } from "../../../hw/flash/src/card.ts";
import { run } from "../../../hw/flash/src/command.ts";
import type { Scenario } from "./scenario.ts";

export const damage: Scenario = {
  name: "damage",
  title: "the data partition is damaged: the board repairs it, and prints",
  async run(stand, notes) {
    await stand.readyBoard();
    await stand.powerDown();
    const data = `${stand.card}?offset=${partitions[3]!.startBytes}`;
    // A folder's inode is gone, what is in it hangs in the air; and the file system knows that it has a fault (EXT2_ERROR_FS).
    for (const request of ["clri /system/journal", "set_super_value state 2"]) {
      await run("debugfs", ["-w", "-R", request, data], { signal: stand.signal });
    }
    await stand.powerOn();
    await stand.ready();
    notes.saw("it starts, and is ready");
    const said = await stand.root("journalctl -b -o cat --no-pager -u 'systemd-fsck@*' | tail -n 3");
    notes.figure("what the check said", said.replaceAll(/\s+/g, " "));
    await stand.print(1);
    notes.saw("a job prints");
  },
};
