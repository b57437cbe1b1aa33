/** Programs that make one-bit planes of NAME.jpg or NAME.pdf. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface Peer {
  readonly label: string;
  command(name: string): string;
  /** Takes so long that it is measured once. */
  readonly slow?: true;
}

const gs = (device: string) => (name: string) =>
  `gs -q -dNOPAUSE -dBATCH -dSAFER -r600 -sDEVICE=${device} -sOutputFile=out-%d ${name}.pdf`;

export const peers: readonly Peer[] = [
  { label: "Ghostscript bitcmyk", command: gs("bitcmyk") },
  { label: "Ghostscript tiffsep1", command: gs("tiffsep1") },
  {
    label: "mutool pkm",
    command: (name) => `mutool draw -q -F pkm -c cmyk -r 600 -o out.pkm ${name}.pdf`,
  },
  {
    label: "netpbm pamditherbw × 4",
    command: (name) =>
      `jpegtopnm ${name}.jpg > page.ppm; for c in 0 1 2 0; do pamchannel -infile page.ppm $c | pamditherbw -fs > out.pam; done`,
  },
  {
    label: "GraphicsMagick",
    slow: true,
    command: (name) =>
      `gm convert ${name}.jpg -colorspace CMYK page.miff && for c in Cyan Magenta Yellow Black; do gm convert page.miff -channel $c -dither -map two.pgm out.pbm; done`,
  },
  {
    label: "ImageMagick",
    slow: true,
    command: (name) =>
      `MAGICK_CONFIGURE_PATH=$PWD/magick convert ${name}.jpg -colorspace CMYK -separate -dither FloydSteinberg -remap pattern:gray50 out-%d.pbm`,
  },
];

/** What an installation's policy may keep ImageMagick from: pages as large as these. */
const policy = ["memory 8GiB", "map 8GiB", "disk 16GiB", "area 10GP", "width 100KP", "height 100KP"]
  .map((limit) => limit.split(" "))
  .map(([name, value]) => `<policy domain="resource" name="${name}" value="${value}"/>`)
  .join("\n");

/** Black and white: GraphicsMagick diffuses errors between the colours of a file (its `-monochrome` leaves light flat tints empty). */
export const twoColors = "P2 2 1 1 0 1\n";

/** Puts into `folder` what the programs need beside the pages. */
export async function preparePeers(folder: string): Promise<void> {
  await writeFile(join(folder, "two.pgm"), twoColors);
  await mkdir(join(folder, "magick"));
  await writeFile(join(folder, "magick", "policy.xml"), `<policymap>\n${policy}\n</policymap>\n`);
}
