/** Which ink table a job prints with. */
import { createHash } from "node:crypto";
import type { InkTable } from "../pixels/ink-table.ts";
import type { InkOptions } from "./ink-tables.ts";

/** What of a job decides over its inks. */
export interface InkChoice {
  /** PWG 5101.1 name. */
  readonly media: string;
  /** What greys and black are made of: see ink-table.ts. */
  readonly neutrals: InkTable["neutrals"];
  /** An ICC profile of the pages' RGB; sRGB without it. */
  readonly source?: Uint8Array;
}

/** Of the printer: its inks on a medium. */
export type MediaInks = Omit<InkOptions, "neutrals" | "source">;

/** Tables that are kept, 0.3 MB each: jobs like those before need not wait for LittleCMS. */
const keptMax = 4;

/** The ink tables of a printer, made when a job first asks for them. */
export class InkTables {
  readonly #inksOf: (media: string) => MediaInks;
  readonly #make: (options: InkOptions) => Promise<InkTable>;
  /** By choice, the longest unused first. */
  readonly #kept = new Map<string, Promise<InkTable>>();
  readonly #known = new Map<MediaInks, number>();

  /** `inksOf` gives the same object for media whose inks are the same; `make` is makeInkTable, here or in a thread. */
  constructor(inksOf: (media: string) => MediaInks, make: (options: InkOptions) => Promise<InkTable>) {
    this.#inksOf = inksOf;
    this.#make = make;
  }

  /** Throws `metafile-invalid` for a source that is no profile for RGB or is damaged, `configuration` for an output profile. */
  tableFor({ media, neutrals, source }: InkChoice): Promise<InkTable> {
    const inks = this.#inksOf(media);
    if (!this.#known.has(inks)) this.#known.set(inks, this.#known.size);
    const hash = source ? createHash("sha256").update(source).digest("hex") : "sRGB";
    const key = `${this.#known.get(inks)} ${neutrals} ${hash}`;
    const table = this.#kept.get(key) ?? this.#make({ ...inks, neutrals, ...(source && { source }) });
    this.#kept.delete(key);
    this.#kept.set(key, table);
    table.catch(() => this.#kept.delete(key));
    for (const oldest of [...this.#kept.keys()].slice(0, -keptMax)) this.#kept.delete(oldest);
    return table;
  }
}
