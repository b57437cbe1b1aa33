/** ICC profiles for tests: made, renamed, damaged. */

/** The profile with four letters of its header replaced. */
export function renamed(profile: Uint8Array, at: number, text: string): Uint8Array {
  const bytes = profile.slice();
  bytes.set(new TextEncoder().encode(text), at);
  return bytes;
}

const text = (bytes: Uint8Array, at: number, letters: string) =>
  bytes.set(new TextEncoder().encode(letters), at);

/** Colorants relative to D50 as CIE XYZ: of sRGB (IEC 61966-2-1), and of Adobe RGB (1998). */
const srgbColorants = [
  [0.4361, 0.2225, 0.0139],
  [0.3851, 0.7169, 0.0971],
  [0.1431, 0.0606, 0.7141],
];
const wideColorants = [
  [0.6097, 0.3111, 0.0195],
  [0.2053, 0.6257, 0.0609],
  [0.1492, 0.0632, 0.7446],
];

/** A display profile (ICC.1:2001-04, 6.3.1.2): three colorants, one power for all channels. */
export function matrixProfile({ gamma, wide = false }: { gamma: number; wide?: boolean }): Uint8Array {
  const white = [0.9642, 1, 0.8249];
  const values = [white, ...(wide ? wideColorants : srgbColorants)];
  const names = ["wtpt", "rXYZ", "gXYZ", "bXYZ", "rTRC", "gTRC", "bTRC"];
  const first = 132 + names.length * 12;
  const bytes = new Uint8Array(first + 4 * 20 + 16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length);
  view.setUint32(8, 0x02400000);
  for (const [at, letters] of [
    [12, "mntr"],
    [16, "RGB "],
    [20, "XYZ "],
    [36, "acsp"],
  ] as const)
    text(bytes, at, letters);
  for (const [i, value] of white.entries()) view.setInt32(68 + i * 4, Math.round(value * 65536));
  view.setUint32(128, names.length);
  for (const [i, name] of names.entries()) {
    const tag = Math.min(i, 4);
    text(bytes, 132 + i * 12, name);
    view.setUint32(132 + i * 12 + 4, first + tag * 20);
    view.setUint32(132 + i * 12 + 8, tag < 4 ? 20 : 14);
  }
  for (const [i, xyz] of values.entries()) {
    text(bytes, first + i * 20, "XYZ ");
    for (const [axis, value] of xyz.entries()) {
      view.setInt32(first + i * 20 + 8 + axis * 4, Math.round(value * 65536));
    }
  }
  text(bytes, first + 80, "curv");
  view.setUint32(first + 88, 1);
  view.setUint16(first + 92, Math.round(gamma * 256));
  return bytes;
}

/** The profile, damaged in a way that the seed tells: bytes changed, cut off, filled, moved, or offsets of its tags. */
export function damaged(profile: Uint8Array, seed: number): Uint8Array {
  let state = Math.imul(seed, 2_654_435_761) >>> 0;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  // Half of the damage hits the header's end, the table of tags and the first tags.
  const within = below(2) ? profile.length : 4096;
  const place = (): number => 100 + below(within - 100);
  const cut = below(5) === 0;
  const bytes = cut ? profile.slice(0, 132 + below(profile.length - 132)) : profile.slice();
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length);
  if (cut) return bytes;
  const from = place();
  switch (below(4)) {
    case 0:
      for (let i = 1 + below(20); i > 0; i--) bytes[place()] = below(256);
      break;
    case 1:
      bytes.fill(below(256), from, from + below(64));
      break;
    case 2:
      bytes.copyWithin(from, place(), place());
      break;
    default:
      for (let i = 1 + below(3); i > 0; i--) view.setUint32(128 + 4 * below(60), below(2 ** 32));
  }
  return bytes;
}
