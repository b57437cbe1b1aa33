import { mkdtemp, open, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cardBytes, stateBytes } from "../card.ts";
import { sectorBytes } from "../mbr.ts";
import { type BootState, decodeState, encodeState, readBootState, writeBootState } from "./boot-state.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "platen-state-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** An empty card. */
async function newCard(): Promise<string> {
  const card = join(folder, "card.img");
  await writeFile(card, "");
  await truncate(card, cardBytes);
  return card;
}

async function sectorAt(card: string, at: number, bytes?: Uint8Array): Promise<Buffer> {
  await using file = await open(card, "r+");
  if (bytes) await file.write(bytes, 0, sectorBytes, at);
  return (await file.read(Buffer.alloc(sectorBytes), 0, sectorBytes, at)).buffer;
}

const trial: BootState = { count: 7, slot: "a", trial: "b" };

test("a state is one sector, and comes back as it was", () => {
  for (const state of [trial, { count: 0x7fff_ffff, slot: "b", trial: undefined } as const]) {
    const sector = encodeState(state);
    expect([sector.length, decodeState(sector)]).toEqual([sectorBytes, state]);
  }
});

test("a sector with any one of its bits flipped is none, nor one that is cut short or empty", () => {
  const sector = encodeState(trial);
  for (let bit = 0; bit < 8 * sector.length; bit++) {
    const damaged = Buffer.from(sector);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    expect(decodeState(damaged)).toBeUndefined();
  }
  for (let length = 0; length < sector.length; length++) {
    expect(decodeState(sector.subarray(0, length))).toBeUndefined();
  }
  expect(decodeState(Buffer.alloc(sectorBytes))).toBeUndefined();
  expect(decodeState(Buffer.alloc(sectorBytes, 0xff))).toBeUndefined();
});

test("a card that nobody has written starts slot a, and copies take turns", async () => {
  const card = await newCard();
  expect(await readBootState(card)).toEqual({ count: 0, slot: "a", trial: undefined });
  await writeBootState(card, { slot: "a", trial: "b" });
  await writeBootState(card, { slot: "b", trial: undefined });
  expect(await readBootState(card)).toEqual({ count: 2, slot: "b", trial: undefined });
  expect(decodeState(await sectorAt(card, stateBytes[0]))).toMatchObject({ count: 1, trial: "b" });
  expect(decodeState(await sectorAt(card, stateBytes[1]))).toMatchObject({ count: 2, slot: "b" });
});

test("whatever becomes of a write that the power cuts, the state before holds, or the new one", async () => {
  const card = await newCard();
  for (const slot of ["a", "b", "a"] as const) await writeBootState(card, { slot, trial: undefined });
  const before = await readBootState(card);
  const old = [await sectorAt(card, stateBytes[0]), await sectorAt(card, stateBytes[1])];
  await writeBootState(card, { slot: "a", trial: "b" });
  const after = await readBootState(card);
  const written = stateBytes.findIndex((_, index) => index === 1);
  const [was, is] = [old[written]!, await sectorAt(card, stateBytes[written]!)];
  expect(is).not.toEqual(was);
  for (let cut = 0; cut <= sectorBytes; cut++) {
    // Written up to here; or what was there is gone, and the rest is nothing.
    for (const rest of [was.subarray(cut), Buffer.alloc(sectorBytes - cut, 0xff)]) {
      await sectorAt(card, stateBytes[written]!, Buffer.concat([is.subarray(0, cut), rest]));
      const found = await readBootState(card);
      expect([before, after]).toContainEqual(found);
      if (cut === sectorBytes) expect(found).toEqual(after);
    }
  }
});

test("both copies lie in erase blocks of their own, before all partitions, and where U-Boot's script looks", async () => {
  expect(new Set(stateBytes.map((at) => Math.floor(at / 2 ** 22)))).toEqual(new Set([1, 2]));
  const script = await readFile(join(import.meta.dirname, "../../board/boot.cmd"), "utf8");
  const sectors = stateBytes.map((at) => (at / sectorBytes).toString(16));
  expect(script).toContain(`for at in ${sectors.join(" ")}; do`);
});
