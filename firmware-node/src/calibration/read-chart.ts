/** Reads the calibration chart from a scan: finds the marks, whichever way the sheet lay, and measures the patches. */
import { PlatenError } from "@platen/proto";
import type { Colorant } from "../pixels/halftoner.ts";
import { linearOfSrgb } from "../pixels/ink-table.ts";
import { type Chart, chartOf, patchUm } from "./chart.ts";
import type { Measurement } from "./measurements.ts";

/** sRGB, three bytes a pixel. */
export interface Picture {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly pixels: Uint8Array;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Green light that is dark enough for a mark. */
const darkMax = 0.25;
/** Of a patch's edge, from its middle: what is averaged. */
const innerShare = 0.3;
const linear = Float64Array.from({ length: 256 }, (_, value) => linearOfSrgb(value / 255));

/** The channel whose light an ink takes. */
const channelOf: Readonly<Record<Colorant, number>> = { cyan: 0, magenta: 1, yellow: 2, black: 1 };

const refuse = (what: string): never => {
  throw new PlatenError("invalid-argument", `the scan cannot be read: ${what}`);
};

/** Dark shapes that could be marks: as wide as high, filled, of a plausible size. */
function squares({ widthPx, heightPx, pixels }: Picture): Point[] {
  const dark = new Uint8Array(widthPx * heightPx);
  for (let i = 0; i < dark.length; i++) {
    const value = Math.max(pixels[i * 3]!, pixels[i * 3 + 1]!, pixels[i * 3 + 2]!);
    if (linear[value]! < darkMax) dark[i] = 1;
  }
  const found: Point[] = [];
  const [least, most] = [widthPx / 150, widthPx / 12];
  const stack: number[] = [];
  for (let start = 0; start < dark.length; start++) {
    if (!dark[start]) continue;
    let [count, sumX, sumY] = [0, 0, 0];
    let [left, right, top, bottom] = [widthPx, 0, heightPx, 0];
    const visit = (next: number): void => {
      if (!dark[next]) return;
      dark[next] = 0;
      stack.push(next);
    };
    visit(start);
    for (let i = stack.pop(); i !== undefined; i = stack.pop()) {
      const x = i % widthPx;
      const y = (i - x) / widthPx;
      count++;
      sumX += x;
      sumY += y;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
      if (x > 0) visit(i - 1);
      if (x < widthPx - 1) visit(i + 1);
      // Beyond the first and the last row there is nothing, and nothing is dark.
      visit(i - widthPx);
      visit(i + widthPx);
    }
    const [width, height] = [right - left + 1, bottom - top + 1];
    const square = Math.max(width, height) < 1.4 * Math.min(width, height);
    if (square && width > least && width < most && count > 0.6 * width * height)
      found.push({ x: sumX / count, y: sumY / count });
  }
  return found;
}

/** The marks at the corners, clockwise from above left as the picture lies. */
function corners(picture: Picture): readonly Point[] {
  const all = squares(picture);
  const [w, h] = [picture.widthPx, picture.heightPx];
  const marks = [
    [0, 0],
    [w, 0],
    [w, h],
    [0, h],
  ].map(([x, y]) => {
    const distance = (point: Point): number => Math.hypot(point.x - x!, point.y - y!);
    return all.reduce<Point | undefined>(
      (best, one) => (best && distance(best) <= distance(one) ? best : one),
      undefined,
    );
  });
  const [a, b, c, d] = marks;
  if (!a || !b || !c || !d || new Set(marks).size < 4)
    return refuse("the four marks at the chart's corners are not all there");
  const side = (p: Point, q: Point): number => Math.hypot(p.x - q.x, p.y - q.y);
  const even = (p: number, q: number): boolean => Math.max(p, q) < 1.1 * Math.min(p, q);
  if (!even(side(a, b), side(c, d)) || !even(side(b, c), side(d, a)))
    return refuse("the marks at its corners make no rectangle: scan the sheet flat and whole");
  return [a, b, c, d];
}

/** Where a place of the chart lies in the picture, when its corners lie clockwise at these. */
function placing(chart: Chart, [a, b, c, d]: readonly [Point, Point, Point, Point]) {
  return ({ xUm, yUm }: { xUm: number; yUm: number }): Point => {
    const [u, v] = [xUm / chart.widthUm, yUm / chart.heightUm];
    const mix = (axis: "x" | "y"): number =>
      (1 - v) * ((1 - u) * a[axis] + u * b[axis]) + v * ((1 - u) * d[axis] + u * c[axis]);
    return { x: mix("x"), y: mix("y") };
  };
}

/** Mean linear light of a channel around a point. */
function lightAround(picture: Picture, { x, y }: Point, reachPx: number, channel: number): number {
  const { widthPx, heightPx, pixels } = picture;
  let [sum, count] = [0, 0];
  for (let py = Math.ceil(y - reachPx); py <= y + reachPx; py++) {
    for (let px = Math.ceil(x - reachPx); px <= x + reachPx; px++) {
      if (px < 0 || py < 0 || px >= widthPx || py >= heightPx) continue;
      sum += linear[pixels[(py * widthPx + px) * 3 + channel]!]!;
      count++;
    }
  }
  return count ? sum / count : refuse("patches lie beyond its edge");
}

/**
 * Measures the chart of an engine with these inks. The sheet may lie at any right angle, a little askew, at any resolution from
 * about 75 dpi on. Throws `invalid-argument` when it is not in the picture.
 */
export function readChart(picture: Picture, inks: readonly Colorant[]): Measurement[] {
  const chart = chartOf(inks);
  const found = corners(picture);
  for (let turn = 0; turn < 4; turn++) {
    const turned = [...found.slice(turn), ...found.slice(0, turn)] as [Point, Point, Point, Point];
    const place = placing(chart, turned);
    const pxPerUm = Math.hypot(turned[1].x - turned[0].x, turned[1].y - turned[0].y) / chart.widthUm;
    if (lightAround(picture, place(chart.marks[4]!), chart.markUm * 0.25 * pxPerUm, 1) > darkMax) continue;
    const tall = Math.hypot(turned[3].x - turned[0].x, turned[3].y - turned[0].y) / chart.heightUm;
    if (Math.abs(tall / pxPerUm - 1) > 0.05)
      return refuse("its marks are not as far apart as this engine's chart has them");
    return chart.patches.map((patch) => ({
      ink: patch.ink,
      asked: patch.asked,
      reflectance: lightAround(picture, place(patch), patchUm * innerShare * pxPerUm, channelOf[patch.ink]),
    }));
  }
  return refuse("the mark that tells the chart's top is not there");
}
