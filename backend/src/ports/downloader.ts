/** The downloader port: print data that lie outside, at an http or https URI (S1207). */

/** A download under way. Disposing ends it, however far it came; the bytes may be read once. */
export interface Download extends AsyncDisposable {
  /** What the other side says that it will send, before any content encoding is undone; undefined when it does not say. */
  readonly declaredBytes: number | undefined;
  /**
   * The document, a chunk as it arrives; the consumer owns each chunk and its pace is the sender's. Throws like `open`;
   * a body that ends before its declared length is `download-failed`.
   */
  readonly bytes: AsyncIterable<Uint8Array>;
}

export interface Downloader {
  /**
   * Asks for the document, following redirects, and resolves when its first bytes may be read. Throws (S1208)
   * - `download-refused`: a URI, or an address behind it, from which this backend does not download;
   * - `download-failed`: no such host, no connection, or an answer other than 200;
   * - `download-too-large`: more bytes than allowed, declared or sent;
   * - `download-timeout`: no connection, no byte for too long, or no end;
   * - `canceled`: `signal` aborted.
   * No message tells credentials or the query of a URI.
   */
  open(uri: string, signal: AbortSignal): Promise<Download>;
}
