/**
 * Which of the two systems starts, and which is tried once: the word between what runs on the board and U-Boot (board/boot.cmd).
 * A sector of the card that no partition has, in U-Boot's own format with a checksum (`env import -c`), so that U-Boot writes it
 * too. A card writes a sector whole or not at all; should it do neither, the other copy, written before, still holds.
 */
import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { PlatenError } from "@platen/proto";
import type { SlotName } from "@platen/firmware-node/updates";
import { stateBytes } from "../card.ts";
import { sectorBytes } from "../mbr.ts";

export interface BootState {
  /** Counts writes: the copy with the higher one holds. */
  readonly count: number;
  /** What starts. */
  readonly slot: SlotName;
  /** What is started instead, once. */
  readonly trial: SlotName | undefined;
}

/** Of a card whose state nobody has written yet. */
const initial: BootState = { count: 0, slot: "a", trial: undefined };
/** U-Boot counts in 32 bits. */
const countMax = 0x7fff_ffff;

export function encodeState({ count, slot, trial }: BootState): Buffer {
  const sector = Buffer.alloc(sectorBytes);
  const variables = [`platen_count=${count.toString(16)}`, `platen_slot=${slot}`];
  if (trial) variables.push(`platen_try=${trial}`);
  sector.write(variables.map((each) => `${each}\0`).join(""), 4, "latin1");
  sector.writeUInt32LE(crc32(sector.subarray(4)), 0);
  return sector;
}

const slotOf = (text: string | undefined): SlotName | undefined =>
  text === "a" || text === "b" ? text : undefined;

/** Undefined for what is none, or is damaged. Reads what U-Boot reads in it. */
export function decodeState(sector: Uint8Array): BootState | undefined {
  const bytes = Buffer.from(sector.buffer, sector.byteOffset, sector.byteLength);
  if (bytes.length !== sectorBytes || bytes.readUInt32LE(0) !== crc32(bytes.subarray(4))) return undefined;
  const text = bytes.toString("latin1", 4);
  const variables = new Map(
    text
      .slice(0, text.indexOf("\0\0"))
      .split("\0")
      .map((each) => each.split("=", 2) as [string, string]),
  );
  const count = Number.parseInt(variables.get("platen_count") ?? "", 16);
  if (!(count > 0 && count <= countMax)) return undefined;
  return {
    count,
    slot: slotOf(variables.get("platen_slot")) ?? "a",
    trial: slotOf(variables.get("platen_try")),
  };
}

interface Found {
  readonly state: BootState;
  /** Where the next one is written: over the copy that does not hold. */
  readonly next: number;
}

async function find(card: FileHandle): Promise<Found> {
  let found: Found = { state: initial, next: stateBytes[0] };
  for (const [index, at] of stateBytes.entries()) {
    const { buffer } = await card.read(Buffer.alloc(sectorBytes), 0, sectorBytes, at);
    const state = decodeState(buffer);
    if (state && state.count > found.state.count) found = { state, next: stateBytes[1 - index]! };
  }
  return found;
}

/** The state on a card, which is a device or an image. */
export async function readBootState(card: string): Promise<BootState> {
  await using file = await open(card);
  return (await find(file)).state;
}

/** Writes the next state; it is on the card when this resolves. Until then, whatever happens, the one before holds. */
export async function writeBootState(card: string, next: Omit<BootState, "count">): Promise<void> {
  await using file = await open(card, "r+");
  const { state, next: at } = await find(file);
  if (state.count >= countMax) throw new PlatenError("internal", "the card's state cannot be counted on");
  await file.write(encodeState({ ...next, count: state.count + 1 }), 0, sectorBytes, at);
  await file.sync();
}
