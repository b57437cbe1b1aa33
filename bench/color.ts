/**
 * `npm run bench -- color [SIDE]`: how near the kernel's ink tables are to LittleCMS itself, over a grid of SIDE³ colours (52)
 * that shares few points with the table's, for the profile that comes along and those in PLATEN_SHARED (default ../shared)/icc;
 * and how near greys of black alone are to the luminance asked for.
 */
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { makeInkTable } from "../firmware-node/src/color/ink-tables.ts";
import { type Intent, openOutput, type OutputProfile } from "../firmware-node/src/color/profile.ts";
import {
  blackOfGrey,
  full,
  idealInks,
  type InkTable,
  interpolate,
  linearOfSrgb,
} from "../firmware-node/src/pixels/ink-table.ts";
import { deltaE2000, type Lab } from "../firmware-node/src/testing/delta-e.ts";
import { sharedFolder } from "./support/shared.ts";

const intents: readonly Intent[] = ["perceptual", "relative"];

const words = (values: Iterable<number>, scale: number): Uint16Array =>
  Uint16Array.from(values, (value) => Math.round((value * 65535) / scale));

const labAt = (lab: Float32Array, i: number): Lab => [lab[i * 3]!, lab[i * 3 + 1]!, lab[i * 3 + 2]!];

function grid(side: number): number[] {
  const edge = Array.from({ length: side }, (_, i) => Math.round((i * 255) / (side - 1)));
  return edge.flatMap((r) => edge.flatMap((g) => edge.flatMap((b) => [r, g, b])));
}

/** Mean, 99th percentile and largest, and what has the largest. */
function summary(errors: readonly number[], nameOf: (i: number) => string) {
  const order = errors.map((_, i) => i).sort((a, b) => errors[a]! - errors[b]!);
  const worst = order.at(-1)!;
  return {
    mean: Number((errors.reduce((sum, error) => sum + error, 0) / errors.length).toFixed(3)),
    p99: Number(errors[order[Math.floor(order.length * 0.99)]!]!.toFixed(3)),
    worst: Number(errors[worst]!.toFixed(2)),
    at: nameOf(worst),
  };
}

/** ΔE2000 between what the table lays and what LittleCMS would, both seen through the profile. */
function tableErrors(
  table: InkTable,
  link: OutputProfile,
  intent: Intent,
  colors: readonly number[],
): number[] {
  const count = colors.length / 3;
  const laid = new Int16Array(count * 4);
  for (let i = 0; i < count; i++) {
    interpolate(table.cube, colors[i * 3]!, colors[i * 3 + 1]!, colors[i * 3 + 2]!, laid, i * 4);
  }
  const seen = link.labOf(words(laid, full));
  const exact = link.labOf(link.inksOf(words(colors, 255), intent));
  return Array.from({ length: count }, (_, i) => deltaE2000(labAt(seen, i), labAt(exact, i)));
}

const lightnessOf = (luminance: number): number =>
  luminance > 216 / 24389 ? 116 * Math.cbrt(luminance) - 16 : (luminance * 24389) / 27;
const luminanceOf = (lightness: number): number =>
  lightness > 8 ? ((lightness + 16) / 116) ** 3 : (lightness * 27) / 24389;

/** ΔE2000 of 254 greys of black alone from the luminance asked for, which goes from solid black to paper. */
function greyErrors(table: InkTable, luminance: (black: number) => number): number[] {
  const [solid, paper] = [luminance(full), luminance(0)];
  const black = blackOfGrey(table);
  return Array.from({ length: 254 }, (_, i) => {
    const asked = solid + linearOfSrgb((i + 1) / 255) * (paper - solid);
    return deltaE2000([lightnessOf(asked), 0, 0], [lightnessOf(luminance(black[i + 1]!)), 0, 0]);
  });
}

export async function run(args: string[]): Promise<void> {
  const side = Number(args[0] ?? 52);
  if (!Number.isInteger(side) || side < 2 || side > 128)
    throw new Error(`a grid of ${args[0]}³ colours is none`);
  const root = join(import.meta.dirname, "..");
  const shared = join(sharedFolder, "icc");
  const others = await readdir(shared).catch(() => []);
  const own = join(root, "firmware-node/profiles/FOGRA39L.icc");
  const more = others.filter((name) => name.endsWith(".icc") && name !== basename(own));
  const colors = grid(side);
  const named = (i: number): string => `rgb ${colors.slice(i * 3, i * 3 + 3).join(" ")}`;
  const tables: Record<string, object> = {};
  const greys: Record<string, object> = {
    "ideal engine": summary(
      greyErrors(idealInks(), (black) => 1 - black / full),
      (i) => `grey ${i + 1}`,
    ),
  };
  for (const file of [own, ...more.map((name) => join(shared, name))]) {
    const profile = new Uint8Array(await readFile(file));
    using link = await openOutput(profile);
    for (const intent of intents) {
      const before = process.cpuUsage();
      const table = await makeInkTable({ profile, intent, neutrals: "cube" });
      const { user, system } = process.cpuUsage(before);
      const errors = tableErrors(table, link, intent, colors);
      tables[`${basename(file)}, ${intent}`] = {
        ...summary(errors, named),
        "CPU ms": Math.round((user + system) / 1000),
      };
    }
    const luminance = (black: number): number => luminanceOf(link.labOf(words([0, 0, 0, black], full))[0]!);
    greys[basename(file)] = summary(
      greyErrors(await makeInkTable({ profile }), luminance),
      (i) => `grey ${i + 1}`,
    );
  }
  console.log(
    `ΔE2000 between the ink table and LittleCMS, ${side ** 3} colours; and what making a table costs:`,
  );
  console.table(tables);
  console.log(
    "ΔE2000 of greys of black alone, from the luminance asked for (linear light, from solid black to paper):",
  );
  console.table(greys);
}
