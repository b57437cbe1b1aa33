/** What platen-provision.service runs on the board. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { provisionBoard, settingsFile } from "./provision-board.ts";

const run = promisify(execFile);
const boot = "/boot/firmware";
const platenId = 900;

const hostname = await provisionBoard({
  boot,
  system: "/data/system",
  prefix: "",
  owner: { uid: 0, gid: platenId },
  writable: async (work) => {
    await run("mount", ["-o", "remount,rw", boot]);
    try {
      await work();
    } finally {
      await run("mount", ["-o", "remount,ro", boot]);
    }
  },
});
if (hostname !== undefined) {
  await writeFile("/proc/sys/kernel/hostname", hostname);
  await run("udevadm", ["control", "--reload"]);
  await run("udevadm", ["trigger", "--subsystem-match=tty", "--action=change"]);
} else
  process.stderr.write(`this board has no settings: it waits for a ${settingsFile} on its boot partition\n`);
