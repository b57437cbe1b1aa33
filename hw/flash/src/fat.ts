/** Files in the boot partition of an image or a card, reached without mounting it. */
import { open } from "node:fs/promises";
import { run } from "./command.ts";
import { decodeMbr, sectorBytes } from "./mbr.ts";
import { PlatenError } from "@platen/proto";

const skipCheck = { MTOOLS_SKIP_CHECK: "1" };

/** How mtools name the boot partition: the file, and where in it. Throws `invalid-argument` when it has none. */
async function boot(image: string): Promise<string> {
  await using file = await open(image);
  const { buffer } = await file.read(Buffer.alloc(sectorBytes), 0, sectorBytes, 0);
  const [first] = decodeMbr(buffer).partitions;
  if (first?.type !== 0x0c) {
    throw new PlatenError(
      "invalid-argument",
      `${image} has no boot partition: it is no image of a controller's card`,
    );
  }
  return `${image}@@${first.startBytes}`;
}

/** Copies a file out of the boot partition. */
export async function readFromBoot(image: string, name: string, to: string): Promise<void> {
  await run("mcopy", ["-n", "-o", "-i", await boot(image), `::${name}`, to], { env: skipCheck });
}

/** Copies a file into the boot partition; one of the same name goes. */
export async function writeToBoot(image: string, from: string, name: string): Promise<void> {
  await run("mcopy", ["-o", "-i", await boot(image), from, `::${name}`], { env: skipCheck });
}

/** The text of a file in the boot partition; undefined when there is none. */
export async function textInBoot(image: string, name: string): Promise<string | undefined> {
  const at = await boot(image);
  const names = await run("mdir", ["-b", "-i", at, "::"], { env: skipCheck });
  if (!names.split("\n").some((line) => line.toLowerCase() === `::/${name}`.toLowerCase())) return undefined;
  return run("mtype", ["-i", at, `::${name}`], { env: skipCheck });
}
