/**
 * The press that halftones are measured on: offset inks as an ICC profile describes them. Its separation makes the
 * continuous-tone planes, its solid inks and their overprints are the colours of dots.
 */
import { openOutput } from "../../firmware-node/src/color/profile.ts";

/** Coverage 0 to 1, or dots 0 and 1, of a square image: cyan, magenta, yellow, black, side × side each. */
export interface Inked {
  readonly side: number;
  readonly planes: readonly Float64Array[];
}

/** X, Y and Z of a square image, each over the paper's. */
export interface Light {
  readonly side: number;
  readonly xyz: readonly Float64Array[];
}

export interface Press {
  /** Perceptual separation of sRGB, three bytes a pixel. */
  separate(rgb: Uint8Array, side: number): Inked;
  /**
   * What comes back from the paper, averaged over a pixel: sixteen overprints, each with the share that falls to it when planes
   * lie on each other by chance (Neugebauer and Demichel). Exact for dots.
   */
  light(image: Inked): Light;
}

/** CIE 1976, relative to the paper. */
function lightOfLab(l: number, a: number, b: number): number[] {
  const y = (l + 16) / 116;
  return [y + a / 500, y, y - b / 200].map((f) =>
    f > 6 / 29 ? f ** 3 : Math.max(0, (116 * f - 16) / (24389 / 27)),
  );
}

export async function openPress(profile: Uint8Array): Promise<Press> {
  using output = await openOutput(profile);
  const corners = Uint16Array.from({ length: 64 }, (_, i) => ((i >> 2) & (1 << (i & 3)) ? 65_535 : 0));
  const labs = output.labOf(corners);
  const overprints = Array.from({ length: 16 }, (_, i) =>
    lightOfLab(labs[i * 3]!, labs[i * 3 + 1]!, labs[i * 3 + 2]!),
  );
  // LittleCMS is closed with the profile: a table keeps what separation needs of it.
  const grid = 65;
  const words = new Uint16Array(grid ** 3 * 3);
  for (let i = 0; i < grid ** 3; i++) {
    const place = [Math.floor(i / grid ** 2), Math.floor(i / grid) % grid, i % grid];
    for (const [channel, p] of place.entries())
      words[i * 3 + channel] = Math.round((p * 65_535) / (grid - 1));
  }
  const table = output.inksOf(words, "perceptual");
  return {
    separate: (rgb, side) => separate(table, grid, rgb, side),
    light: (image) => lightOf(image, overprints),
  };
}

/** Trilinear interpolation. */
function separate(table: Uint16Array, grid: number, rgb: Uint8Array, side: number): Inked {
  const planes = Array.from({ length: 4 }, () => new Float64Array(side * side));
  for (let i = 0; i < side * side; i++) {
    const place = [0, 1, 2].map((channel) => (rgb[i * 3 + channel]! / 255) * (grid - 1));
    const low = place.map((p) => Math.min(grid - 2, Math.floor(p)));
    for (let corner = 0; corner < 8; corner++) {
      let weight = 1;
      let point = 0;
      for (let channel = 0; channel < 3; channel++) {
        const up = (corner >> channel) & 1;
        const fraction = place[channel]! - low[channel]!;
        weight *= up ? fraction : 1 - fraction;
        point = point * grid + low[channel]! + up;
      }
      if (weight === 0) continue;
      for (let ink = 0; ink < 4; ink++)
        planes[ink]![i] = planes[ink]![i]! + (weight * table[point * 4 + ink]!) / 65_535;
    }
  }
  return { side, planes };
}

function lightOf({ side, planes }: Inked, overprints: readonly (readonly number[])[]): Light {
  const xyz = [0, 1, 2].map(() => new Float64Array(side * side));
  for (let i = 0; i < side * side; i++) {
    for (const [index, overprint] of overprints.entries()) {
      let share = 1;
      for (let ink = 0; ink < 4; ink++) {
        const covered = planes[ink]![i]!;
        share *= (index >> ink) & 1 ? covered : 1 - covered;
      }
      if (share === 0) continue;
      for (let channel = 0; channel < 3; channel++) xyz[channel]![i]! += share * overprint[channel]!;
    }
  }
  return { side, xyz };
}
