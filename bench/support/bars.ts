/** A bar chart as SVG. */

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Drawn in the colour of what is ours. */
  readonly own: boolean;
}

export interface Group {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const widthPx = 760;
const labelPx = 270;
const barPx = 20;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** Groups of bars below each other, each group with a scale of its own; `unit` follows the figures. */
export function barChart(title: string, groups: readonly Group[], unit: string): string {
  const parts: string[] = [];
  const text = (x: number, y: number, words: string, style = "") =>
    parts.push(`<text x="${x.toFixed(1)}" y="${y}"${style}>${escaped(words)}</text>`);
  text(10, 24, title, ' font-weight="bold"');
  let y = 40;
  for (const { title: name, bars } of groups) {
    y += 16;
    text(10, y, name);
    y += 8;
    const most = Math.max(...bars.map(({ value }) => value));
    for (const { label, value, own } of bars) {
      const length = Math.max(1, ((widthPx - labelPx - 90) * value) / most);
      text(labelPx - 8, y + 14, label, ' text-anchor="end"');
      parts.push(
        `<rect x="${labelPx}" y="${y + 2}" width="${length.toFixed(1)}" height="${barPx - 6}" fill="${own ? "#1769aa" : "#a8b4bf"}"/>`,
      );
      text(
        labelPx + length + 6,
        y + 14,
        `${value.toLocaleString("en", { maximumSignificantDigits: 3 })} ${unit}`,
      );
      y += barPx;
    }
    y += 6;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${widthPx}" height="${y + 10}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${parts.join("\n")}
</svg>
`;
}
