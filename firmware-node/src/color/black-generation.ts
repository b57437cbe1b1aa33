/**
 * More black than an output profile's own: where cyan, magenta and yellow all come together, black takes over part of the grey
 * that they make, and the colour stays what it was. Less ink on the paper, steadier greys, more grain in light tones.
 *
 * The profile's table of colours by inks is turned round with Newton's method: for all points at once, since LittleCMS is quick
 * in bulk. First the black at which the least of the three colours is used up, then, on the way there, the colours that belong
 * to the black that is wanted.
 */
import type { OutputProfile } from "./profile.ts";

const black = 3;
const channels = 4;
/** Of the range of a channel; what is below it counts as no ink. */
const trace = 0.02;
const step = 0.01;
const rounds = 6;
/** Where the colour has not come back as near as this, CIE76, a point keeps the profile's own inks. */
const nearEnough = 0.7;

/** Solves a 3 × 3 system, rows of four, by Cramer's rule; undefined where it has no answer to speak of. */
function solve(m: readonly (readonly number[])[]): [number, number, number] | undefined {
  const [a, b, c] = m as [number[], number[], number[]];
  const determinant = (i: number, j: number, k: number): number =>
    a[i]! * (b[j]! * c[k]! - b[k]! * c[j]!) -
    a[j]! * (b[i]! * c[k]! - b[k]! * c[i]!) +
    a[k]! * (b[i]! * c[j]! - b[j]! * c[i]!);
  const all = determinant(0, 1, 2);
  if (Math.abs(all) < 1) return undefined;
  return [determinant(3, 1, 2) / all, determinant(0, 3, 2) / all, determinant(0, 1, 3) / all];
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value));

/** A colour to be met with three of the four inks, while the fourth stays. */
interface Search {
  readonly inks: number[];
  readonly target: readonly number[];
  /** The ink that stays. */
  readonly fixed: number;
  /** CIE76 from the target. */
  error: number;
}

/** Moves the free inks of every search towards its target. */
function approach(profile: OutputProfile, searches: readonly Search[]): void {
  for (let round = 0; round <= rounds; round++) {
    // Of each: where it is, and a step of each free ink, towards the side that has room.
    const probes = new Uint16Array(searches.length * channels * channels);
    const steps = searches.map(({ inks }) => inks.map((ink) => (ink > 0.5 ? -step : step)));
    for (const [i, { inks, fixed }] of searches.entries()) {
      for (let probe = 0; probe < channels; probe++) {
        for (let ink = 0; ink < channels; ink++) {
          const moved = probe === ink && ink !== fixed ? inks[ink]! + steps[i]![ink]! : inks[ink]!;
          probes[(i * channels + probe) * channels + ink] = Math.round(clamp(moved) * 65535);
        }
      }
    }
    const here = profile.labOf(
      Uint16Array.from(searches.flatMap(({ inks }) => inks.map((ink) => Math.round(clamp(ink) * 65535)))),
    );
    const moved = profile.labOf(probes);
    for (const [i, search] of searches.entries()) {
      const lab = [0, 1, 2].map((axis) => here[i * 3 + axis]!);
      search.error = Math.hypot(...lab.map((value, axis) => value - search.target[axis]!));
      if (round === rounds || search.error < 0.02) continue;
      const free = [0, 1, 2, 3].filter((ink) => ink !== search.fixed);
      const rows = [0, 1, 2].map((axis) => [
        ...free.map((ink) => (moved[(i * channels + ink) * 3 + axis]! - lab[axis]!) / steps[i]![ink]!),
        search.target[axis]! - lab[axis]!,
      ]);
      const change = solve(rows);
      if (!change) continue;
      for (const [at, ink] of free.entries()) search.inks[ink] = clamp(search.inks[ink]! + change[at]!);
    }
  }
}

/** Where the way to most black ends when it is not where the least colour does: with solid black, or another colour used up. */
function otherEnd({ inks, target, fixed }: Search): Search {
  const full = inks[black]! > 0.999;
  const used = [0, 1, 2].filter((ink) => ink !== fixed).sort((a, b) => inks[a]! - inks[b]!)[0]!;
  // Away from the edges, where a step may lead nowhere.
  const start = inks.map((ink, i) => {
    if (full) return i === black ? 1 : Math.max(ink, 0.3);
    return i === used ? 0 : Math.max(ink, 0.1);
  });
  return { inks: start, target, fixed: full ? black : used, error: Infinity };
}

/**
 * The inks of many colours, 16 bits, four each, with `share` of the way, 0 to 1, from the profile's own black to the most that
 * the colours bear. Points without a trace of grey, and those that no inks would meet, stay as they are.
 */
export function moreBlack(profile: OutputProfile, own: Uint16Array, share: number): Uint16Array {
  const lab = profile.labOf(own);
  const points = Array.from({ length: own.length / channels }, (_, i) => i).filter(
    (i) => Math.min(...own.subarray(i * channels, i * channels + black)) > trace * 65535,
  );
  const inksOf = (i: number): number[] =>
    Array.from(own.subarray(i * channels, (i + 1) * channels), (word) => word / 65535);
  const targetOf = (i: number) => [...lab.subarray(i * 3, i * 3 + 3)];
  const most = points.map((i): Search => {
    const inks = inksOf(i);
    const least = inks.indexOf(Math.min(...inks.slice(0, black)));
    inks[least] = 0;
    return { inks, target: targetOf(i), fixed: least, error: Infinity };
  });
  approach(profile, most);
  const others = most
    .filter(({ error }) => error > nearEnough)
    .map((search) => [search, otherEnd(search)] as const);
  approach(
    profile,
    others.map(([, other]) => other),
  );
  for (const [search, other] of others) Object.assign(search, other);
  const wanted = points.flatMap((i, at): (Search & { readonly point: number })[] => {
    const inks = inksOf(i);
    const end = most[at]!;
    if (end.error > nearEnough || end.inks[black]! <= inks[black]!) return [];
    const there = inks.map((ink, channel) => ink + share * (end.inks[channel]! - ink));
    return [{ point: i, inks: there, target: targetOf(i), fixed: black, error: Infinity }];
  });
  approach(profile, wanted);
  const changed = own.slice();
  for (const { point, inks, error } of wanted) {
    if (error > nearEnough) continue;
    changed.set(
      inks.map((ink) => Math.round(clamp(ink) * 65535)),
      point * channels,
    );
  }
  return changed;
}
