import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { withNode } from "./fdt.ts";
import { bootScript, forUBoot } from "./u-boot.ts";

test("a script has the header that U-Boot checks, and its length before it", () => {
  const image = bootScript("echo hello\n");
  expect(image.readUInt32BE(0)).toBe(0x27051956);
  const header = Buffer.from(image.subarray(0, 64));
  header.writeUInt32BE(0, 4);
  expect(image.readUInt32BE(4)).toBe(crc32(header));
  const data = image.subarray(64);
  expect([image.readUInt32BE(12), image.readUInt32BE(24)]).toEqual([data.length, crc32(data)]);
  expect([data.readUInt32BE(0), data.readUInt32BE(4)]).toEqual([11, 0]);
  expect(data.toString("latin1", 8)).toBe("echo hello\n");
});

/** A tree of a root with one property and one node, as DTC makes it. */
function smallTree(): Buffer {
  const words = (...values: number[]) => {
    const bytes = Buffer.alloc(4 * values.length);
    values.forEach((value, index) => bytes.writeUInt32BE(value, 4 * index));
    return bytes;
  };
  const strings = Buffer.from("model\0");
  const structure = Buffer.concat([
    words(1, 0),
    words(3, 2, 0),
    Buffer.from("x\0\0\0"),
    words(1),
    Buffer.from("cpus\0\0\0\0"),
    words(2, 2, 9),
  ]);
  const size = 40 + 16 + structure.length + strings.length;
  const header = words(
    0xd00dfeed,
    size,
    56,
    56 + structure.length,
    40,
    17,
    16,
    0,
    strings.length,
    structure.length,
  );
  return Buffer.concat([header, Buffer.alloc(16), structure, strings]);
}

const hasDtc = spawnSync("dtc", ["--version"]).status === 0;

test.skipIf(!hasDtc)(
  "dtc reads a tree with one more node as it was, and with that (skipped without dtc)",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "platen-fdt-"));
    try {
      const file = join(folder, "tree.dtb");
      const read = (tree: Uint8Array) => {
        writeFileSync(file, tree);
        return execFileSync("dtc", ["-q", "-I", "dtb", "-O", "dts", file], { encoding: "utf8" });
      };
      const before = read(smallTree());
      const after = read(forUBoot(smallTree(), { "platen,arguments": "a b" }));
      const node =
        '\n\tconfig {\n\t\tbootdelay = <0xfffffffe>;\n\t\tbootsecure = <0x01>;\n\t\tbootcmd = "bootd";\n\t\tplaten,arguments = "a b";\n\t};\n';
      expect(after).toBe(before.replace(/};\n$/, `${node}};\n`));
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

test("what is no device tree, or cut short, is refused", () => {
  const tree = smallTree();
  expect(() => withNode(readFileSync(import.meta.filename), "x", {})).toThrow("no device tree");
  expect(() => withNode(tree.subarray(0, tree.length - 1), "x", {})).toThrow("no device tree");
  const unended = Buffer.from(tree);
  unended.writeUInt32BE(4, 56 + unended.readUInt32BE(36) - 4);
  expect(() => withNode(unended, "x", {})).toThrow("does not end");
});
