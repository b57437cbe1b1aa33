/** What the dots of a side look like: each dot in the colour of the inks that lie on it, and from afar. */
import type { Ink, PrintedSide } from "../engine-model.ts";
import type { Picture } from "./png.ts";

/** What an ink leaves of red, green and blue light; inks on top of each other take light one after the other. */
const transmits: Readonly<Record<Ink, readonly [number, number, number]>> = {
  cyan: [0.02, 0.4, 0.8],
  magenta: [0.78, 0.03, 0.22],
  yellow: [0.98, 0.83, 0.02],
  black: [0.012, 0.011, 0.011],
};
const inks: readonly Ink[] = ["cyan", "magenta", "yellow", "black"];

/** Light that each of the sixteen mixtures leaves: bit 0 cyan to bit 3 black. */
const lights = Array.from({ length: 16 }, (_, mixture) =>
  [0, 1, 2].map((channel) =>
    inks.reduce((light, ink, i) => (mixture & (1 << i) ? light * transmits[ink][channel]! : light), 1),
  ),
);

/** sRGB (IEC 61966-2-1), 0 to 255, of linear light. */
const encoded = (light: number): number =>
  Math.round(255 * (light <= 0.0031308 ? light * 12.92 : 1.055 * light ** (1 / 2.4) - 0.055));
const encodedSteps = Uint8Array.from({ length: 4097 }, (_, step) => encoded(step / 4096));

const palette = lights.map(([red, green, blue]) =>
  [red, green, blue].reduce<number>((rgb, light) => rgb * 256 + encoded(light!), 0),
);

/** Calls `dot` for every place that has ink, between rows and columns given, with its mixture. */
function forEachDot(
  side: PrintedSide,
  area: { readonly x: number; readonly y: number; readonly widthPx: number; readonly heightPx: number },
  dot: (x: number, y: number, mixture: number) => void,
): void {
  const planes = inks.map((ink) => side.planes.get(ink));
  const [firstByte, endByte] = [area.x >> 3, Math.ceil((area.x + area.widthPx) / 8)];
  for (let y = area.y; y < area.y + area.heightPx; y++) {
    for (let i = firstByte; i < endByte; i++) {
      const at = y * side.strideBytes + i;
      const c = planes[0]?.[at] ?? 0;
      const m = planes[1]?.[at] ?? 0;
      const ye = planes[2]?.[at] ?? 0;
      const k = planes[3]?.[at] ?? 0;
      if ((c | m | ye | k) === 0) continue;
      for (let bit = 7; bit >= 0; bit--) {
        const mixture =
          ((c >> bit) & 1) | (((m >> bit) & 1) << 1) | (((ye >> bit) & 1) << 2) | (((k >> bit) & 1) << 3);
        const x = i * 8 + 7 - bit;
        if (mixture && x >= area.x && x < area.x + area.widthPx) dot(x, y, mixture);
      }
    }
  }
}

const previewWidthPx = 640;

/** Dots averaged into one pixel of the preview, across and along. */
export function previewFactor({ widthPx }: Pick<PrintedSide, "widthPx">): number {
  let factor = 1;
  while (widthPx / factor > previewWidthPx) factor *= 2;
  return factor;
}

/** Rows of the preview from `fromRow`, so many, fewer at the end: averaged in linear light. */
export function preview(side: PrintedSide, fromRow: number, rows: number): Picture {
  const factor = previewFactor(side);
  const widthPx = Math.ceil(side.widthPx / factor);
  const y = fromRow * factor;
  const dotRows = Math.min(side.heightPx - y, rows * factor);
  const heightPx = Math.ceil(dotRows / factor);
  const light = new Float32Array(widthPx * heightPx * 3).fill(factor * factor);
  forEachDot(side, { x: 0, y, widthPx: side.widthPx, heightPx: dotRows }, (x, dotY, mixture) => {
    const at = (Math.floor((dotY - y) / factor) * widthPx + Math.floor(x / factor)) * 3;
    const left = lights[mixture]!;
    light[at]! -= 1 - left[0]!;
    light[at + 1]! -= 1 - left[1]!;
    light[at + 2]! -= 1 - left[2]!;
  });
  const scale = 4096 / (factor * factor);
  const pixels = Uint8Array.from(light, (sum) => encodedSteps[Math.max(0, Math.round(sum * scale))]!);
  return { widthPx, heightPx, pixels };
}

/** A part of the side, every dot a pixel; cut to what there is. */
export function dots(side: PrintedSide, x: number, y: number, widthPx: number, heightPx: number): Picture {
  const area = {
    x,
    y,
    widthPx: Math.min(widthPx, side.widthPx - x),
    heightPx: Math.min(heightPx, side.heightPx - y),
  };
  const pixels = new Uint8Array(area.widthPx * area.heightPx);
  forEachDot(side, area, (dotX, dotY, mixture) => {
    pixels[(dotY - y) * area.widthPx + dotX - x] = mixture;
  });
  return { widthPx: area.widthPx, heightPx: area.heightPx, pixels, palette };
}
