/** Device trees (Devicetree Specification 0.4, chapter 5): one more node in a flattened one. */
import { PlatenError } from "@platen/proto";

const magic = 0xd00dfeed;
const tokens = { beginNode: 1, endNode: 2, property: 3, end: 9 } as const;
/** Of the header's fields that are used here, bytes from its start. */
const field = { totalSize: 4, structOffset: 8, stringsOffset: 12, stringsSize: 32, structSize: 36 } as const;

const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
};

/** Whole words, as everything in the structure is. */
const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);

/** A number is one cell, text ends in a zero byte. */
const valueOf = (value: number | string): Buffer =>
  typeof value === "number" ? word(value) : Buffer.from(`${value}\0`);

/**
 * The tree with a node `name` more below its root, which must not have one of that name. Throws `invalid-argument` for what is
 * no tree.
 */
export function withNode(
  tree: Uint8Array,
  name: string,
  properties: Readonly<Record<string, number | string>>,
): Buffer {
  const bytes = Buffer.from(tree.buffer, tree.byteOffset, tree.byteLength);
  const at = (offset: number) => bytes.readUInt32BE(offset);
  if (bytes.length < 40 || at(0) !== magic || at(field.totalSize) > bytes.length) {
    throw new PlatenError("invalid-argument", "this is no device tree");
  }
  const structStart = at(field.structOffset);
  const struct = bytes.subarray(structStart, structStart + at(field.structSize));
  // The structure ends with the end of the root's node and that of itself; it is followed by the strings, or precedes them.
  const rootEnd = struct.length - 8;
  if (struct.readUInt32BE(rootEnd) !== tokens.endNode || struct.readUInt32BE(rootEnd + 4) !== tokens.end) {
    throw new PlatenError("invalid-argument", "the device tree's structure does not end as one does");
  }
  let strings = bytes.subarray(at(field.stringsOffset), at(field.stringsOffset) + at(field.stringsSize));
  const node = [word(tokens.beginNode), padded(Buffer.from(`${name}\0`))];
  for (const [key, given] of Object.entries(properties)) {
    const value = valueOf(given);
    node.push(word(tokens.property), word(value.length), word(strings.length), padded(value));
    strings = Buffer.concat([strings, Buffer.from(`${key}\0`)]);
  }
  node.push(word(tokens.endNode));
  // Header and reserved memory stay where they are; structure and strings come anew, behind all that was there.
  const kept = padded(bytes.subarray(0, Math.min(structStart, at(field.stringsOffset))));
  const structure = Buffer.concat([struct.subarray(0, rootEnd), ...node, struct.subarray(rootEnd)]);
  const whole = Buffer.concat([kept, structure, strings]);
  whole.writeUInt32BE(whole.length, field.totalSize);
  whole.writeUInt32BE(kept.length, field.structOffset);
  whole.writeUInt32BE(structure.length, field.structSize);
  whole.writeUInt32BE(kept.length + structure.length, field.stringsOffset);
  whole.writeUInt32BE(strings.length, field.stringsSize);
  return whole;
}
