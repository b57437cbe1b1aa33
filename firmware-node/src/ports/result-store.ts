/** The result store as a printer sees it: metafile and pages by URL, for whoever holds the session's token (S1404, S1406). */
export interface ResultStore {
  /**
   * GET with the token. Resolves when the server answers with a body, which may take minutes: a page is held until it is
   * converted. Throws, here or from the body, PlatenError: `unavailable` for what another attempt may get over (no
   * connection, a broken one, a server that says so), `plaintext-refused`, or what the server refused with.
   */
  get(url: URL, token: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
}
