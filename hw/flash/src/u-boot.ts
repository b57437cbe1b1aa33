/** What U-Boot, the board's boot loader, reads: its script, and the word to start it without waiting for a key. */
import { crc32 } from "node:zlib";
import { withNode } from "./fdt.ts";

/** U-Boot's legacy image format (include/image.h): a header of 64 bytes, big endian. */
const headerBytes = 64;
const magic = 0x27051956;
/** Linux, arm64, a script, not compressed. */
const kind = [5, 22, 6, 0] as const;

/** The script as `boot.scr`: the same text makes the same bytes. */
export function bootScript(text: string): Buffer {
  const script = Buffer.from(text);
  // A list of the lengths of what is in it, ended by a zero.
  const data = Buffer.alloc(8 + script.length);
  data.writeUInt32BE(script.length, 0);
  data.set(script, 8);
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32BE(magic, 0);
  header.writeUInt32BE(data.length, 12);
  header.writeUInt32BE(crc32(data), 24);
  header.set(kind, 28);
  header.write("platen", 32, "latin1");
  header.writeUInt32BE(crc32(header), 4);
  return Buffer.concat([header, data]);
}

/** U-Boot's own words for: start at once, look for no key, and let no Ctrl-C end what is under way (common/cli.c). */
const undisturbed = { bootdelay: -2, bootsecure: 1, bootcmd: "bootd" };

/**
 * The device tree that U-Boot itself gets, with what it takes from there. The serial line may be the engine's, and whatever is on
 * it is no person who wants a prompt.
 */
export const forUBoot = (tree: Uint8Array, settings: Readonly<Record<string, string>> = {}): Buffer =>
  withNode(tree, "config", { ...undisturbed, ...settings });

/** Names an emulated board's further arguments of the kernel in that tree. */
export const argumentsProperty = "platen,arguments";
