/** Decodes the pixels of a band. */
import type { Band } from "@platen/proto";

export interface BandDecoder {
  /**
   * The pixels of a grey or colour band: one byte a pixel for grey, three (sRGB) for colour, rows × width of them, the
   * caller's to keep, or to detach. What the data say of themselves is checked before they are decoded. Throws `page-invalid`.
   */
  decode(band: Band, widthPx: number): Promise<Uint8Array>;
}
