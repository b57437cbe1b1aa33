/**
 * The test pattern of a trial: a band goes the way of every band, from its PNG to dots, with the printer's own inks. The dots must be those
 * of the reference in TypeScript, and the pixels those that were packed: so a decoder or a kernel that does not work on this
 * board is found before it prints.
 */
import { create } from "@bufbuild/protobuf";
import { BandContent, BandEncoding, BandSchema, PlatenError } from "@platen/proto";
import { referenceHalftoner } from "../pixels/reference.ts";
import type { InkTable } from "../pixels/ink-table.ts";
import type { BandDecoder } from "../ports/band-decoder.ts";
import type { DotMaker } from "../ports/dot-maker.ts";

const widthPx = 48;
const rowsPx = 32;

/** Every pixel another colour: ramps of red, green and blue across each other, and white and black at the edges. */
export function patternPixels(): Uint8Array {
  const pixels = new Uint8Array(widthPx * rowsPx * 3);
  for (let y = 0; y < rowsPx; y++) {
    for (let x = 0; x < widthPx; x++) {
      const at = (y * widthPx + x) * 3;
      const edge = x === 0 ? 255 : x === widthPx - 1 ? 0 : undefined;
      pixels.set([edge ?? x * 5, edge ?? y * 8, edge ?? ((x + y) * 3) & 255], at);
    }
  }
  return pixels;
}

/** `patternPixels` as PNG. */
const png = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAADAAAAAgCAIAAADbtmxLAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAAQklEQVRYw+3OwQ0AEBAAwRVH" +
    "1KBQtfudEnxJNpkCpmRmL9GoL5isABgV3rAxdGHIkCFDhgwZMmTIkCFDhgwZ+jx0AEUkGRytb8wsAAAAAElFTkSuQmCC",
  "base64",
);

/** Throws `internal` when the pattern does not come out right. */
export async function renderPattern(
  decoder: BandDecoder,
  dotMaker: Pick<DotMaker, "startPage" | "rows">,
  table: InkTable,
  signal: AbortSignal,
): Promise<void> {
  const band = create(BandSchema, {
    yPx: 0,
    rowsPx,
    content: BandContent.COLOR,
    encoding: BandEncoding.PNG,
    data: png,
  });
  const pixels = await decoder.decode(band, widthPx);
  if (!Buffer.from(pixels).equals(patternPixels())) throw wrong("decoded");
  const inks = "cmyk";
  await dotMaker.startPage({ widthPx, halftone: "shiau-fan", inks, table });
  const expected = referenceHalftoner("shiau-fan", table, widthPx, inks).band(
    "color",
    patternPixels(),
    rowsPx,
  );
  using dots = await dotMaker.rows("color", pixels, rowsPx, signal);
  const same =
    dots.planes.length === expected.length &&
    dots.planes.every(({ colorant, bits }, i) => {
      const plane = expected[i]!;
      return colorant === plane.colorant && Buffer.from(bits).equals(plane.bits);
    });
  if (!same) throw wrong("halftoned");
}

const wrong = (step: string): PlatenError =>
  new PlatenError("internal", `the test pattern is not ${step} as it should be`);
