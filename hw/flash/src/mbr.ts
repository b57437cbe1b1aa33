/** The partition table of the card: MBR, since every model of the board starts from one. */
import { PlatenError } from "@platen/proto";

export const sectorBytes = 512;

/** One of the four primary partitions. */
export interface Partition {
  /** 0x0c is FAT32 with LBA, 0x83 is Linux. */
  readonly type: number;
  readonly bootable: boolean;
  readonly startBytes: number;
  readonly sizeBytes: number;
}

const tableAt = 446;
const entryBytes = 16;
const signatureAt = 440;

/**
 * The first sector of a card: no boot code, `signature` (Linux names partitions PARTUUID=SSSSSSSS-NN after it) and at most four
 * partitions, whole sectors each. CHS fields say "use LBA".
 */
export function encodeMbr(signature: number, partitions: readonly Partition[]): Buffer {
  if (partitions.length > 4) throw new RangeError("an MBR holds four partitions");
  const sector = Buffer.alloc(sectorBytes);
  sector.writeUInt32LE(signature, signatureAt);
  for (const [index, { type, bootable, startBytes, sizeBytes }] of partitions.entries()) {
    const at = tableAt + index * entryBytes;
    sector.writeUInt8(bootable ? 0x80 : 0, at);
    sector.set([0xfe, 0xff, 0xff], at + 1);
    sector.writeUInt8(type, at + 4);
    sector.set([0xfe, 0xff, 0xff], at + 5);
    sector.writeUInt32LE(startBytes / sectorBytes, at + 8);
    sector.writeUInt32LE(sizeBytes / sectorBytes, at + 12);
  }
  sector.writeUInt16BE(0x55aa, 510);
  return sector;
}

/** The partitions that the first sector of a card or an image lists. Throws `invalid-argument` when it is no MBR. */
export function decodeMbr(sector: Uint8Array): { signature: number; partitions: Partition[] } {
  const bytes = Buffer.from(sector.buffer, sector.byteOffset, sector.byteLength);
  if (bytes.length < sectorBytes || bytes.readUInt16BE(510) !== 0x55aa) {
    throw new PlatenError("invalid-argument", "there is no partition table: this is no card image");
  }
  const partitions: Partition[] = [];
  for (let at = tableAt; at < tableAt + 4 * entryBytes; at += entryBytes) {
    const type = bytes.readUInt8(at + 4);
    if (type === 0) continue;
    partitions.push({
      type,
      bootable: bytes.readUInt8(at) === 0x80,
      startBytes: bytes.readUInt32LE(at + 8) * sectorBytes,
      sizeBytes: bytes.readUInt32LE(at + 12) * sectorBytes,
    });
  }
  return { signature: bytes.readUInt32LE(signatureAt), partitions };
}
