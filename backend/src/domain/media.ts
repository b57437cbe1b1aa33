/** PWG 5101.1 self-describing media size names: `iso_a4_210x297mm`, `na_letter_8.5x11in`, `custom_card_100x150mm`. */
import { PlatenError } from "@platen/proto";

/** A size of media. */
export interface MediaSize {
  readonly name: string;
  /** Across the feed, micrometres. */
  readonly widthUm: number;
  /** Along the feed, micrometres. */
  readonly heightUm: number;
}

/** PWG 5101.1 section 5: class, size name, width x height, unit. */
const pattern =
  /^(asme|custom|disc|iso|jis|jpn|na|oe|om|prc|roc|roll)_[a-z0-9][a-z0-9.-]*_(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)(mm|in)$/;

const umOf = { mm: 1000, in: 25_400 } as const;

/** No engine takes less than a stamp or more than 10 m; both guard the arithmetic behind. */
const minUm = 1000;
const maxUm = 10_000_000;

/** The size that a name describes. Throws `ticket-invalid`, naming `attribute`. */
export function parseMediaSize(name: string, attribute = "media"): MediaSize {
  const [, , width, height, unit] = name.length <= 128 ? (pattern.exec(name) ?? []) : [];
  if (width === undefined || height === undefined) {
    throw new PlatenError(
      "ticket-invalid",
      `${attribute} ${JSON.stringify(name.slice(0, 128))} is no PWG 5101.1 size name, like iso_a4_210x297mm or custom_card_100x150mm`,
    );
  }
  const scale = umOf[unit as keyof typeof umOf];
  const widthUm = Math.round(Number(width) * scale);
  const heightUm = Math.round(Number(height) * scale);
  if (Math.min(widthUm, heightUm) < minUm || Math.max(widthUm, heightUm) > maxUm) {
    throw new PlatenError(
      "ticket-invalid",
      `${attribute} ${name} is out of bounds: media are 1 mm to 10 m wide and high`,
    );
  }
  return { name, widthUm, heightUm };
}

/** Whether the name describes a custom size, which a printer takes by its bounds and not by its list. */
export const isCustomMedia = (name: string): boolean => name.startsWith("custom_");
