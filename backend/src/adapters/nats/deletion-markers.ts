/**
 * A deletion in a NATS stream is a marker: a message without a value that takes the place of the last one, for watchers to
 * see. These are the markers that this process left, each removed when all who watch have long seen it. A watcher that was
 * cut off meanwhile compares all keys when it is back, and needs no marker.
 */
import { setTimeout as delay } from "node:timers/promises";
import { hasCode } from "@platen/proto";
import { apiErrorCode, apiErrorOf, type NatsLink } from "./link.ts";

const keptMs = 30_000;

interface Marker {
  readonly stream: string;
  readonly sequence: number;
  readonly dueMs: number;
}

export class DeletionMarkers implements AsyncDisposable {
  readonly #link: NatsLink;
  /** In the order in which they are due. */
  readonly #queue: Marker[] = [];
  readonly #stop = new AbortController();
  readonly #keptMs: number;
  #removing: Promise<void> | undefined;

  constructor(link: NatsLink, markersKeptMs = keptMs) {
    this.#link = link;
    this.#keptMs = markersKeptMs;
  }

  add(stream: string, sequence: number): void {
    this.#queue.push({ stream, sequence, dueMs: performance.now() + this.#keptMs });
    this.#removing ??= this.#remove().finally(() => {
      this.#removing = undefined;
    });
  }

  /** Takes over the markers of processes that did not live to remove them. */
  adopt(stream: string, find: () => Promise<number[]>): void {
    find().then(
      (sequences) => {
        for (const sequence of sequences) this.add(stream, sequence);
      },
      // Whoever opens the bucket next adopts them.
      () => {},
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#removing;
  }

  async #remove(): Promise<void> {
    const { signal } = this.#stop;
    const pause = (ms: number) => delay(Math.max(ms, 0), undefined, { signal, ref: false }).catch(() => {});
    for (let next = this.#queue[0]; next && !signal.aborted; next = this.#queue[0]) {
      await pause(next.dueMs - performance.now());
      if (signal.aborted) return;
      try {
        await this.#removeOne(next);
        this.#queue.shift();
      } catch (error) {
        if (hasCode(error, "unavailable")) await pause(1000);
        else this.#queue.shift();
      }
    }
  }

  async #removeOne({ stream, sequence }: Marker): Promise<void> {
    try {
      // By its number: an entry created since under the same key stays.
      await this.#link.call(
        "remove a deletion marker",
        () => this.#link.manager.streams.deleteMessage(stream, sequence, false),
        { refusals: [apiErrorCode.messageDeleteFailed] },
      );
    } catch (error) {
      // It is gone already: the key was created anew, or has expired.
      if (apiErrorOf(error) !== apiErrorCode.messageDeleteFailed) throw error;
    }
  }
}
