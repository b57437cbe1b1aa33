/** Where servers are to be found: what the resolver needs to know, and all that it knows. */

/** A server that takes requests. */
export interface Endpoint {
  /** Its id, for logs and tests. */
  readonly id: string;
  /** `host:port`. */
  readonly address: string;
}

/** A live registry of servers by service name ("executors", "instructors"). */
export interface Directory {
  /**
   * The servers that take requests, now and again at every change, until `signal` aborts (the iterable then simply ends).
   * A server that drains or dies is left out. The order is the same for everybody, by id for example: all clients that pick
   * first then pick the same.
   */
  watch(service: string, signal: AbortSignal): AsyncIterable<readonly Endpoint[]>;
}
