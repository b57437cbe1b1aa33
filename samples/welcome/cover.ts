/** The cover: a sheet on its way over the platen, under a head that lets drops of four inks fall. Vectors only. */
import { a4, footer, grey, line, margin, type Page } from "./typeset.ts";

const inks = { cyan: "#00a3e0", magenta: "#e0007a", yellow: "#ffd500", black: "#161616" };
type Ink = keyof typeof inks;
const inkNames = Object.keys(inks) as Ink[];

const panel = { left: margin, top: 222, right: a4.width - margin, bottom: 776 };
const sheet = { left: 128, right: 467, top: 300, bottom: 748 };
const roller = { left: 74, right: 521, top: 404, bottom: 470 };
/** The picture on the sheet, in bands. The last one is being printed. */
const picture = { left: 146, right: 449, top: 420, bottom: 730, bandHeight: 31 };
const halftoneBottom = picture.top + 5 * picture.bandHeight;
const headX = 330;

type Rgb = readonly [number, number, number];
const css = (color: Rgb): string => `rgb(${color.map(Math.round).join(",")})`;
const mix = (a: Rgb, b: Rgb, t: number): Rgb =>
  [0, 1, 2].map((i) => a[i]! + (b[i]! - a[i]!) * t) as unknown as Rgb;

/** The evening sky, from the picture's top to the horizon. */
const sky: readonly (readonly [number, Rgb])[] = [
  [0, [86, 150, 226]],
  [0.3, [146, 178, 232]],
  [0.52, [232, 176, 200]],
  [0.72, [255, 166, 128]],
  [0.88, [255, 196, 104]],
  [1, [255, 226, 150]],
];
const horizon = picture.bottom - 88;
const sun = { x: 262, y: horizon - 58, radius: 34, color: [255, 240, 176] as Rgb };

/** Ridges of hills, the farthest first: the line of a ridge, and its colour above and below. */
const hills = [
  { y: horizon - 14, swing: 16, length: 74, phase: 0.4, top: [150, 120, 170], bottom: [112, 92, 150] },
  { y: horizon + 14, swing: 13, length: 52, phase: 2.1, top: [66, 112, 120], bottom: [44, 86, 96] },
  { y: horizon + 44, swing: 10, length: 64, phase: 4.4, top: [52, 122, 72], bottom: [20, 62, 40] },
] as const;
type Hill = (typeof hills)[number];
const ridge = ({ y, swing, length, phase }: Hill, x: number): number =>
  y + swing * Math.sin(x / length + phase) + 0.4 * swing * Math.sin(x / (length * 0.37) + 2 * phase);

function skyAt(y: number): Rgb {
  const t = (y - picture.top) / (horizon + 30 - picture.top);
  const after = Math.max(
    1,
    sky.findIndex(([stop]) => stop >= t),
  );
  const [from, a] = sky[after - 1]!;
  const [to, b] = sky[after]!;
  return mix(a, b, Math.min(1, (t - from) / (to - from)));
}

function at(x: number, y: number): Rgb {
  return Math.hypot(x - sun.x, y - sun.y) < sun.radius ? sun.color : skyAt(y);
}

/** Coverage of the inks, as a printer's separation has it: what the three share is partly black's. */
function coverage([r, g, b]: Rgb): Record<Ink, number> {
  const [c, m, y] = [1 - r / 255, 1 - g / 255, 1 - b / 255];
  const k = 0.6 * Math.min(c, m, y);
  return { cyan: c - k, magenta: m - k, yellow: y - k, black: k };
}

function smoothPicture(page: Page): void {
  const paint = page.createLinearGradient(0, picture.top, 0, horizon + 30);
  for (const [stop, color] of sky) paint.addColorStop(stop, css(color));
  page.save();
  // What is above is halftoned.
  page.beginPath();
  page.rect(picture.left, halftoneBottom, picture.right - picture.left, picture.bottom - halftoneBottom);
  page.clip();
  page.fillStyle = paint;
  page.fillRect(picture.left, halftoneBottom, picture.right - picture.left, picture.bottom - halftoneBottom);
  page.fillStyle = css(sun.color);
  page.beginPath();
  page.arc(sun.x, sun.y, sun.radius, 0, 2 * Math.PI);
  page.fill();
  for (const hill of hills) {
    const slope = page.createLinearGradient(0, hill.y - 20, 0, picture.bottom);
    slope.addColorStop(0, css(hill.top));
    slope.addColorStop(1, css(hill.bottom));
    page.fillStyle = slope;
    page.beginPath();
    page.moveTo(picture.left, picture.bottom);
    for (let x = picture.left; x <= picture.right; x += 3) page.lineTo(x, ridge(hill, x));
    page.lineTo(picture.right, picture.bottom);
    page.fill();
  }
  page.restore();
}

const pitch = 3.8;
const dotSizes = 16;
const screenAngles: Record<Ink, number> = { cyan: 15, magenta: 75, yellow: 0, black: 45 };

/** The same picture as dots of four inks, a screen an ink, over the bands that are fresh. */
function halftone(page: Page, ink: Ink): void {
  const angle = (screenAngles[ink] * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const reach = Math.ceil((picture.right - picture.left) / pitch);
  const bySize = new Map<number, [number, number][]>();
  for (let i = -reach; i <= reach; i++) {
    for (let j = -reach; j <= reach; j++) {
      const x = (picture.left + picture.right) / 2 + pitch * (i * cos - j * sin);
      const y = picture.top + pitch * (i * sin + j * cos);
      const isPrinted = y > picture.top + picture.bandHeight || x < headX;
      const inside = x > picture.left && x < picture.right && y > picture.top && y < halftoneBottom;
      if (!inside || !isPrinted) continue;
      const size = Math.round(dotSizes * Math.sqrt(coverage(at(x, y))[ink]));
      if (size > 0) bySize.set(size, [...(bySize.get(size) ?? []), [x, y]]);
    }
  }
  page.strokeStyle = inks[ink];
  page.lineCap = "round";
  for (const [size, dots] of bySize) {
    // A dot is the round ends of a line that goes nowhere: a tenth of a circle's bytes.
    page.lineWidth = (size / dotSizes) * pitch * 1.13;
    page.beginPath();
    for (const [x, y] of dots) {
      page.moveTo(x, y);
      page.lineTo(x + 0.01, y);
    }
    page.stroke();
  }
}

function drop(page: Page, x: number, y: number, radius: number, color: string): void {
  page.fillStyle = color;
  page.beginPath();
  page.moveTo(x, y - 2.1 * radius);
  page.bezierCurveTo(x + 0.35 * radius, y - 1.2 * radius, x + radius, y - 0.6 * radius, x + radius, y);
  page.arc(x, y, radius, 0, Math.PI);
  page.bezierCurveTo(x - radius, y - 0.6 * radius, x - 0.35 * radius, y - 1.2 * radius, x, y - 2.1 * radius);
  page.fill();
}

type Box = { left: number; top: number; right: number; bottom: number };

/** A box shaded across its height, rounded. */
function shaded(
  page: Page,
  { left, top, right, bottom }: Box,
  radius: number,
  stops: readonly (readonly [number, string])[],
): void {
  const paint = page.createLinearGradient(0, top, 0, bottom);
  for (const [stop, color] of stops) paint.addColorStop(stop, color);
  page.fillStyle = paint;
  page.beginPath();
  page.roundRect(left, top, right - left, bottom - top, radius);
  page.fill();
}

const steel = [
  [0, "#8d97a3"],
  [0.25, "#f4f7fa"],
  [0.6, "#a7b1bd"],
  [1, "#5c6671"],
] as const;
const rubber = [
  [0, "#2d3138"],
  [0.22, "#7b828d"],
  [0.4, "#3d424b"],
  [1, "#0f1115"],
] as const;
const housing = [
  [0, "#46505e"],
  [1, "#1e242d"],
] as const;

/** From here down the sheet hangs straight. */
const bend = roller.top + 22;

function machine(page: Page): void {
  // Flat: pdf.js makes a picture as large as what a gradient fills.
  page.fillStyle = "#e3edf7";
  page.beginPath();
  page.roundRect(panel.left, panel.top, panel.right - panel.left, panel.bottom - panel.top, 16);
  page.fill();
  // The sheet, before it goes over the roller.
  shaded(page, { ...sheet, bottom: roller.top + 10 }, 0, [
    [0, "#c8d0d8"],
    [1, "#f2f4f6"],
  ]);
  shaded(page, { left: 58, right: 537, top: 421, bottom: 453 }, 6, steel);
  shaded(page, roller, 10, rubber);
  // Its shadow, then the sheet that hangs from the roller.
  page.fillStyle = "#bccfe2";
  page.fillRect(sheet.left + 9, roller.bottom, sheet.right - sheet.left, sheet.bottom - roller.bottom + 8);
  shaded(page, { ...sheet, top: roller.top - 3, bottom: bend }, 0, [
    [0, "#dfe3e7"],
    [1, "#ffffff"],
  ]);
  page.fillStyle = "#ffffff";
  page.fillRect(sheet.left, bend, sheet.right - sheet.left, sheet.bottom - bend);
}

function head(page: Page): void {
  shaded(page, { left: 58, right: 537, top: 286, bottom: 300 }, 5, steel);
  shaded(page, { left: headX - 78, right: headX + 78, top: 250, bottom: 346 }, 10, housing);
  inkNames.forEach((ink, index) => {
    const x = headX - 54 + 36 * index;
    page.fillStyle = "#0d1117";
    page.beginPath();
    page.roundRect(x - 14, 262, 28, 66, 5);
    page.fill();
    page.fillStyle = inks[ink];
    page.beginPath();
    page.roundRect(x - 11, 272 + 7 * index, 22, 53 - 7 * index, 3);
    page.fill();
    page.fillStyle = "#0d1117";
    page.beginPath();
    page.roundRect(x - 5, 344, 10, 7, 2);
    page.fill();
    for (let step = 0; step < 3; step++) {
      drop(page, x, 368 + 21 * step + ((index * 7) % 12) - 4, 4.4 - 0.7 * step, inks[ink]);
    }
  });
}

export function cover(page: Page, number: number, pages: number): void {
  inkNames.forEach((ink, index) => drop(page, margin + 10 + 26 * index, 74, 9, inks[ink]));
  line(page, "Platen", margin - 5, 160, { sizePt: 88, weight: "bold" });
  const lines = ["An open-source cloud print system:", "from a PDF to the drops of ink."];
  lines.forEach((text, index) =>
    line(page, text, margin, 186 + 19 * index, { sizePt: 15, color: grey.dark }),
  );

  machine(page);
  smoothPicture(page);
  page.save();
  page.globalCompositeOperation = "multiply";
  for (const ink of inkNames) halftone(page, ink);
  page.restore();
  head(page);

  footer(page, "Colour, drawn with vectors alone.", number, pages);
}
