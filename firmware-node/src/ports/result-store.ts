/** The result store as a printer sees it: metafile and pages by URL, for whoever holds the session's token (S1404, S1406). */

/** An answer of the store. */
export interface Content {
  /** Where `bytes` begin: at the byte asked for, or at 0 where the server gives only the whole. */
  readonly startByte: number;
  /** Of the whole; undefined where the server does not say. */
  readonly totalBytes: number | undefined;
  /** The entity tag (RFC 9110 section 8.8.3): other content at the same URL has another. Empty where the server has none. */
  readonly etag: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

export interface ResultStore {
  /**
   * GET with the token, from a byte on. Resolves when the server answers with a body, which may take minutes: a page is held
   * until it is converted. Throws, here or from the body, PlatenError: `unavailable` for what another attempt may get over
   * (no connection, a broken one, a server that says so), `plaintext-refused`, or what the server refused with.
   */
  get(url: URL, token: string, startByte: number, signal: AbortSignal): Promise<Content>;
}
