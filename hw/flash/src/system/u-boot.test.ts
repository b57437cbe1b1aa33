/** U-Boot itself, as Debian has it for QEMU's machine, runs the board's script on cards whose kernels are none. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeFat } from "../boot.ts";
import { stateBytes, writeImage } from "../card.ts";
import { emulatedUBoot } from "../command.ts";
import { EmulatedBoard } from "../emulate.ts";
import { bootScript } from "../u-boot.ts";
import { readBootState, writeBootState } from "./boot-state.ts";
import { slotFiles } from "./slot.ts";

const needed = [emulatedUBoot, "/usr/bin/qemu-system-aarch64", "/usr/bin/mcopy", "/usr/sbin/mkfs.vfat"];
const isThere = needed.every((file) => existsSync(file));

describe.skipIf(!isThere)(
  "U-Boot on the emulated machine (skipped without qemu and u-boot-qemu)",
  () => {
    let folder: string;
    const boot = () => join(folder, "boot.vfat");
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "platen-u-boot-"));
      const tree = join(folder, "tree");
      for (const slot of ["a", "b"]) {
        await mkdir(join(tree, slot), { recursive: true });
        await writeFile(join(tree, slot, slotFiles.kernel), "no kernel");
        await writeFile(join(tree, slot, slotFiles.firstRoot), "no root");
        await writeFile(join(tree, slot, slotFiles.settings), `arguments=from-${slot} quiet\n`);
      }
      const script = await readFile(join(import.meta.dirname, "../../board/boot.cmd"), "utf8");
      await writeFile(join(tree, "boot.scr"), bootScript(script));
      await makeFat(boot(), tree, 0);
    }, 30_000);
    afterAll(() => rm(folder, { recursive: true }));

    async function newCard(): Promise<string> {
      const card = join(folder, "card.img");
      const empty = join(folder, "empty");
      await writeFile(empty, "");
      await writeImage(card, { boot: boot(), rootA: empty, data: empty });
      return card;
    }

    /** Which slots it starts, in their order, until none is left. None of the bytes on its line stops it. */
    async function startsOf(card: string): Promise<string[]> {
      await using board = await EmulatedBoard.start({ image: card });
      const noise = setInterval(() => board.type("\u0003 \u001b"), 50);
      try {
        await board.line(/^platen: slot . cannot be started/);
        const first = board.console.findIndex((line) => line.includes("cannot be started"));
        await board.line(/^platen: slot . cannot be started/, { from: first + 1 });
      } finally {
        clearInterval(noise);
      }
      const said = /^platen: starting (slot . ?\S*)/;
      return board.console.flatMap((line) => said.exec(line)?.[1]?.trim() ?? []);
    }

    test("a card that nobody has written a state to starts slot a, then what else is there", async () => {
      expect(await startsOf(await newCard())).toEqual(["slot a", "slot b"]);
    });

    test("a trial is off the card before it begins; the slot before is next", async () => {
      const card = await newCard();
      await writeBootState(card, { slot: "a", trial: undefined });
      await writeBootState(card, { slot: "a", trial: "b" });
      expect(await startsOf(card)).toEqual(["slot b platen.trial", "slot a"]);
      expect(await readBootState(card)).toEqual({ count: 3, slot: "a", trial: undefined });
      expect(await startsOf(card)).toEqual(["slot a", "slot b"]);
      await writeBootState(card, { slot: "b", trial: "a" });
      expect(await startsOf(card)).toEqual(["slot a platen.trial", "slot b"]);
      expect(await readBootState(card)).toEqual({ count: 5, slot: "b", trial: undefined });
    });

    test("where the newer copy is damaged, the one before holds; where both are, slot a", async () => {
      const card = await newCard();
      await writeBootState(card, { slot: "b", trial: undefined });
      await writeBootState(card, { slot: "b", trial: "a" });
      const damage = async (at: number) => {
        await using file = await open(card, "r+");
        await file.write("x", at + 20);
      };
      await damage(stateBytes[1]);
      expect(await startsOf(card)).toEqual(["slot b", "slot a"]);
      await damage(stateBytes[0]);
      expect(await startsOf(card)).toEqual(["slot a", "slot b"]);
    });
  },
  120_000,
);
