/** Times that a board without a clock can tell: the order of its own starts, and how long ago one was. */
import { uptime } from "node:os";
import { readFileIfAny } from "./disk.ts";

export interface Moment {
  /** Another one each time that the board is switched on. */
  readonly boot: string;
  /** Since then, seconds. */
  readonly atS: number;
}

export async function present(): Promise<Moment> {
  const boot = await readFileIfAny("/proc/sys/kernel/random/boot_id");
  return { boot: boot?.toString("utf8").trim() ?? "", atS: Math.floor(uptime()) };
}
