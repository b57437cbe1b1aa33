/**
 * The work queue port: print instructions between intake and the job controllers. Durable, acknowledged, redelivered.
 * NATS JetStream or an embedded SQLite file; one contract suite (`work-queue.contract.ts`) runs on every adapter.
 *
 * Items wait in lanes (a lane a printer). Within a lane they are delivered one at a time, in the order in which they were
 * enqueued, whatever the number of takers; lanes do not wait for each other. Lanes and ids are 1 to 200 letters, digits,
 * "-" or "_"; a payload is at most 1,000,000 bytes.
 */

export interface Delivery {
  readonly lane: string;
  readonly id: string;
  readonly payload: Uint8Array;
  /** 1 for the first delivery; more when a taker before let its lease run out or released it. */
  readonly attempt: number;
  /** Done: never delivered again, even when the lease is lost. The lane goes on. */
  ack(): Promise<void>;
  /** Renews the lease; to be called well within `leaseMs` while the work goes on. Throws `conflict` when the lease is lost. */
  extend(): Promise<void>;
  /** Gives the item back, to be delivered again (first in its lane) after `delayMs`. Does nothing when the lease is lost. */
  release(delayMs: number): Promise<void>;
}

export interface WorkQueueOptions {
  /** How long a taker has an item for itself without renewing, milliseconds. */
  leaseMs: number;
}

export interface WorkQueue {
  /**
   * Adds an item. One with the same id that is still known to the queue, in whatever lane (waiting, leased, or acked less
   * than two minutes ago) makes it a no-op. Resolved, the item survives a crash of any process.
   */
  enqueue(lane: string, id: string, payload: Uint8Array): Promise<void>;
  /** Items as they become available, from all lanes, until `signal` aborts (the iterable then simply ends). */
  deliveries(signal: AbortSignal): AsyncIterable<Delivery>;
}

export interface WorkQueues extends AsyncDisposable {
  /** Opens a queue, and makes it when it does not exist. Name: letters, digits, "-". */
  queue(name: string, options: WorkQueueOptions): Promise<WorkQueue>;
}
