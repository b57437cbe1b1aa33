/** Words on a canvas: the fonts of the sample, and lines and paragraphs set in them. Lengths are points of 1/72 inch. */
import { fileURLToPath } from "node:url";
import { GlobalFonts, type SKRSContext2D } from "@napi-rs/canvas";

/** A canvas of a page of the document. */
export type Page = SKRSContext2D;

export const a4 = { width: 595.28, height: 841.89 };
export const margin = 48;
export const black = "#000000";
/** Neutral greys, so that a page of text stays one of grey bands. */
export const grey = { dark: "#444444", middle: "#777777", light: "#d9d9d9", faint: "#f2f2f2" };

const family = "Platen Sample";
const files = { regular: "LiberationSans-Regular.ttf", bold: "LiberationSans-Bold.ttf" };
type Weight = keyof typeof files;

/** Fonts come with pdf.js, so that whoever runs this has the same. A family a weight: no font matching can choose another. */
export function registerFonts(): void {
  for (const [weight, file] of Object.entries(files)) {
    const path = new URL("standard_fonts/", import.meta.resolve("pdfjs-dist/package.json"));
    if (!GlobalFonts.registerFromPath(fileURLToPath(new URL(file, path)), `${family} ${weight}`)) {
      throw new Error(`cannot read the font ${file}`);
    }
  }
}

export interface Style {
  readonly sizePt: number;
  readonly weight?: Weight;
  readonly color?: string;
  readonly align?: "left" | "center" | "right";
}

function apply(page: Page, { sizePt, weight = "regular", color = black, align = "left" }: Style): void {
  page.font = `${sizePt}px "${family} ${weight}"`;
  page.fillStyle = color;
  page.textAlign = align;
}

/** One line, its baseline at `y`. */
export function line(page: Page, text: string, x: number, y: number, style: Style): void {
  apply(page, style);
  page.fillText(text, x, y);
}

/** What a text is set of: a heading, or a paragraph that begins with a bold word. */
export type Block =
  | { readonly kind: "heading"; readonly text: string }
  | { readonly kind: "paragraph"; readonly title: string; readonly text: string };

interface Word {
  readonly text: string;
  readonly weight: Weight;
  readonly width: number;
}

interface Line {
  readonly words: readonly Word[];
  readonly sizePt: number;
  /** From the baseline above. */
  readonly leading: number;
}

export interface Measure {
  readonly sizePt: number;
  readonly leading: number;
  readonly width: number;
}

function wordsOf(page: Page, text: string, weight: Weight, sizePt: number): Word[] {
  apply(page, { sizePt, weight });
  return text.split(" ").map((word) => ({ text: word, weight, width: page.measureText(word).width }));
}

function breakLines(words: readonly Word[], space: number, width: number): Word[][] {
  const lines: Word[][] = [[]];
  let used = 0;
  for (const word of words) {
    if (used > 0 && used + space + word.width > width) {
      lines.push([]);
      used = 0;
    }
    used += (used > 0 ? space : 0) + word.width;
    lines.at(-1)!.push(word);
  }
  return lines;
}

const spaceOf = (sizePt: number): number => sizePt * 0.278;

function linesOf(page: Page, block: Block, { sizePt, leading, width }: Measure): Line[] {
  if (block.kind === "heading") {
    const size = sizePt * 1.25;
    return [{ words: wordsOf(page, block.text, "bold", size), sizePt: size, leading: leading * 1.8 }];
  }
  const words = [
    ...wordsOf(page, block.title, "bold", sizePt),
    ...wordsOf(page, block.text, "regular", sizePt),
  ];
  return breakLines(words, spaceOf(sizePt), width).map((line, index) => ({
    words: line,
    sizePt,
    leading: index === 0 ? leading * 1.4 : leading,
  }));
}

function setLine(page: Page, { words, sizePt }: Line, x: number, y: number): void {
  let at = x;
  // Words of one weight are one run, so that a reader of the text finds its spaces.
  for (let from = 0; from < words.length; ) {
    const weight = words[from]!.weight;
    const end = words.findIndex((word, index) => index > from && word.weight !== weight);
    const run = words.slice(from, end < 0 ? words.length : end);
    const text = `${run.map((word) => word.text).join(" ")}${end < 0 ? "" : " "}`;
    line(page, text, at, y, { sizePt, weight });
    at += page.measureText(text).width;
    from += run.length;
  }
}

/** Sets a text from `top` down, ragged at the right. Returns its last baseline. */
export function column(
  page: Page,
  blocks: readonly Block[],
  x: number,
  top: number,
  measure: Measure,
): number {
  let y = top;
  for (const each of blocks.flatMap((block) => linesOf(page, block, measure))) {
    y += y === top ? each.sizePt : each.leading;
    setLine(page, each, x, y);
  }
  return y;
}

/** The line at the foot of every page. */
export function footer(page: Page, text: string, number: number, pages: number): void {
  const style = { sizePt: 8, color: grey.middle };
  const y = a4.height - 32;
  line(page, text, margin, y, style);
  line(page, `${number} / ${pages}`, a4.width - margin, y, { ...style, align: "right" });
}
