/**
 * What cannot be used for colour, with the code and sentence of a PlatenError. It is not one, because the thread that bakes ink
 * tables is to load nothing but LittleCMS: bake-table.ts makes one of it.
 */
export class InkError extends Error {
  override readonly name = "InkError";
  readonly code: "configuration" | "metafile-invalid";
  constructor(code: InkError["code"], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
