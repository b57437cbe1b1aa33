/** Tone curves as SVG: what came of the coverage that was asked for, before and after calibration. */
import type { Wedge, Wedges } from "../color/calibration.ts";
import type { Colorant } from "../pixels/halftoner.ts";
import { deviation } from "./measurements.ts";

export interface Panel {
  readonly title: string;
  readonly wedges: Wedges;
}

const strokes: Readonly<Record<Colorant, string>> = {
  cyan: "#0097c4",
  magenta: "#c2187e",
  yellow: "#c9a400",
  black: "#222222",
};

const sidePx = 300;
const leftPx = 46;
const topPx = 44;
const panelPx = sidePx + leftPx + 24;

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

function drawn({ title, wedges }: Panel, index: number): string {
  const x0 = index * panelPx + leftPx;
  const x = (share: number): string => (x0 + share * sidePx).toFixed(1);
  const y = (share: number): string => (topPx + (1 - share) * sidePx).toFixed(1);
  const ticks = [0, 0.25, 0.5, 0.75, 1].flatMap((at) => [
    `<path d="M${x(at)} ${y(0)}V${y(1)}M${x(0)} ${y(at)}H${x(1)}" stroke="#e4e7ea"/>`,
    `<text x="${x(at)}" y="${topPx + sidePx + 16}" text-anchor="middle">${at * 100}</text>`,
    `<text x="${x0 - 6}" y="${Number(y(at)) + 4}" text-anchor="end">${at * 100}</text>`,
  ]);
  const inks = Object.entries(wedges) as [Colorant, Wedge][];
  const curves = inks.map(([ink, wedge]) => {
    const points = wedge.map(({ asked, measured }) => `${x(asked)},${y(measured)}`).join(" ");
    return `<polyline points="${points}" fill="none" stroke="${strokes[ink]}" stroke-width="1.8"/>`;
  });
  const legend = inks.map(([ink, wedge], i) => {
    const words = `${ink}: at most ${percent(deviation(wedge).max)} off`;
    return `<text x="${x0 + sidePx - 8}" y="${topPx + sidePx - 10 - 16 * i}" text-anchor="end" fill="${strokes[ink]}">${words}</text>`;
  });
  return [
    `<text x="${x0}" y="24" font-weight="bold">${title}</text>`,
    ...ticks,
    `<path d="M${x(0)} ${y(0)}L${x(1)} ${y(1)}" stroke="#9aa4ad" stroke-dasharray="4 4"/>`,
    ...curves,
    ...legend,
    `<text x="${x(0.5)}" y="${topPx + sidePx + 34}" text-anchor="middle">coverage asked for, %</text>`,
  ].join("\n");
}

/** Panels side by side. Titles are the caller's own words: they are not escaped. */
export function tonePlot(panels: readonly Panel[]): string {
  const [width, height] = [panels.length * panelPx, topPx + sidePx + 48];
  const label = `<text transform="translate(12 ${topPx + sidePx / 2}) rotate(-90)" text-anchor="middle">effective coverage, %</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${label}
${panels.map(drawn).join("\n")}
</svg>
`;
}
