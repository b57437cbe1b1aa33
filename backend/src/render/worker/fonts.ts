/**
 * Fonts for documents that name a font and do not embed it. pdf.js brings the fourteen standard ones itself, as outlines; for any
 * other it has the canvas draw text in a generic family, and what that shows would depend on the fonts of the machine: boxes for
 * Japanese on most servers, nothing at all in a bare container.
 *
 * So the canvas is taught to draw such text in Noto Sans JP and Noto Serif JP (Latin, Greek, Cyrillic, Japanese, all weights).
 * They come in some 120 files of characters that go together, of which a document needs a few: each is loaded when its first
 * character is drawn. A character that they lack is left to the machine's own fonts.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createCanvas, GlobalFonts, type SKRSContext2D } from "@napi-rs/canvas";

interface Subset {
  readonly name: string;
  readonly ranges: readonly (readonly [first: number, last: number])[];
  family?: string;
}

/** A family in subsets, and the ones that are loaded. */
class SubsetFont {
  readonly #id: string;
  readonly #subsets: readonly Subset[];
  readonly #byCodePoint = new Map<number, Subset | undefined>();

  constructor(id: string) {
    this.#id = id;
    const ranges = JSON.parse(readFileSync(this.#file("unicode.json"), "utf8")) as Record<string, string>;
    this.#subsets = Object.entries(ranges).map(([name, text]) => ({
      // "[12]" in the list of ranges is "12" in the file's name.
      name: name.replaceAll(/[[\]]/g, ""),
      ranges: text.split(",").map((range) => {
        const [first = 0, last = first] = range
          .replace("U+", "")
          .split("-")
          .map((hex) => Number.parseInt(hex, 16));
        return [first, last] as const;
      }),
    }));
  }

  #file(name: string): string {
    return fileURLToPath(import.meta.resolve(`@fontsource-variable/${this.#id}/${name}`));
  }

  #subsetOf(codePoint: number): Subset | undefined {
    if (this.#byCodePoint.has(codePoint)) return this.#byCodePoint.get(codePoint);
    const subset = this.#subsets.find(({ ranges }) =>
      ranges.some(([first, last]) => first <= codePoint && codePoint <= last),
    );
    this.#byCodePoint.set(codePoint, subset);
    return subset;
  }

  /** The family that has the character, loaded; undefined when none has. */
  #familyOf(codePoint: number): string | undefined {
    const subset = this.#subsetOf(codePoint);
    if (subset && subset.family === undefined) {
      subset.family = `${this.#id}-${subset.name}`;
      const path = this.#file(`files/${this.#id}-${subset.name}-wght-normal.woff2`);
      if (!GlobalFonts.registerFromPath(path, subset.family)) throw new Error(`cannot load the font ${path}`);
    }
    return subset?.family;
  }

  /** The families that have the characters of a text, without those that none has. */
  familiesFor(text: string): string[] {
    const families = Array.from(text, (character) => this.#familyOf(character.codePointAt(0) ?? 0));
    return [...new Set(families.filter((family) => family !== undefined))];
  }
}

/** `italic bold 12px "g_d0_f1", serif`: style and size, families. */
const fontPattern = /^(.*?[\d.]+px )(.*)$/;

/** Has every canvas of this process draw text in these fonts where it has the characters. */
export function installFallbackFonts(): void {
  const sans = new SubsetFont("noto-sans-jp");
  const serif = new SubsetFont("noto-serif-jp");
  const prototype = Object.getPrototypeOf(createCanvas(1, 1).getContext("2d")) as SKRSContext2D;

  const inFallbackFont = <Result>(context: SKRSContext2D, text: string, draw: () => Result): Result => {
    const { font } = context;
    const [, style, asked = ""] = fontPattern.exec(font) ?? [];
    const families = (/(^|[ ,])serif$/.test(asked) ? serif : sans).familiesFor(text);
    if (style === undefined || families.length === 0) return draw();
    context.font = style + [...families.map((family) => `"${family}"`), asked].join(", ");
    try {
      return draw();
    } finally {
      context.font = font;
    }
  };

  const { fillText, strokeText, measureText } = prototype;
  Object.assign(prototype, {
    fillText(this: SKRSContext2D, text: string, x: number, y: number, maxWidth?: number): void {
      inFallbackFont(this, text, () => fillText.call(this, text, x, y, maxWidth));
    },
    strokeText(this: SKRSContext2D, text: string, x: number, y: number, maxWidth?: number): void {
      inFallbackFont(this, text, () => strokeText.call(this, text, x, y, maxWidth));
    },
    measureText(this: SKRSContext2D, text: string) {
      return inFallbackFont(this, text, () => measureText.call(this, text));
    },
  });
}
