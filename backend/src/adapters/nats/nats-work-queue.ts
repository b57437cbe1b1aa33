/**
 * The work queue port on JetStream: a stream with work queue retention, a subject an item, a durable pull consumer a lane.
 *
 * A consumer that allows one unacknowledged message hands out its lane one at a time and in order, however many takers ask;
 * a message whose lease (`ack_wait`) runs out comes again before the next one. A subject that is taken refuses a second
 * item of the same id as long as the first is there; a bucket remembers ids for a while after they were acknowledged.
 */
import { setTimeout as delay } from "node:timers/promises";
import { hasCode, PlatenError } from "@platen/proto";
import { AckPolicy, createInbox, DeliverPolicy, DiscardPolicy, type Msg, nanos, RetentionPolicy } from "nats";
import type { Bucket } from "../../ports/key-value.ts";
import { checkItemName, checkStoreName, checkValue } from "../../ports/names.ts";
import type { Delivery, WorkQueue, WorkQueueOptions, WorkQueues } from "../../ports/work-queue.ts";
import { DeletionMarkers } from "./deletion-markers.ts";
import { apiErrorCode, apiErrorOf, apiReasonOf, type NatsLink } from "./link.ts";
import { Mailbox } from "./mailbox.ts";
import { openBucket } from "./nats-key-value.ts";

/** How long an acknowledged id is remembered, and a published one by the stream itself. */
const knownMs = 120_000;
/** How long a request for a message waits at the server. */
const pullMs = 20_000;
const retryPauseMs = 250;

/** Opens the work queues on a connection that stays the caller's. */
export function openNatsWorkQueues(link: NatsLink): WorkQueues {
  const markers = new DeletionMarkers(link);
  return {
    async queue(name: string, { leaseMs }: WorkQueueOptions): Promise<WorkQueue> {
      checkStoreName(name);
      const stream = `platen-queue-${name}`;
      const subject = `platen.queue.${name}`;
      await link.ensureStream({
        name: stream,
        subjects: [`${subject}.>`],
        retention: RetentionPolicy.Workqueue,
        max_msgs_per_subject: 1,
        discard: DiscardPolicy.New,
        discard_new_per_subject: true,
        duplicate_window: nanos(knownMs),
      });
      // Names that no bucket of the key-value store can have.
      const lanes = await openBucket(link, markers, `platen_lanes-${name}`);
      const acked = await openBucket(link, markers, `platen_acked-${name}`, { ttlMs: knownMs });
      return new NatsWorkQueue(link, { stream, subject, lanes, acked, leaseMs });
    },
    [Symbol.asyncDispose]: () => markers[Symbol.asyncDispose](),
  };
}

interface QueueParts {
  readonly stream: string;
  readonly subject: string;
  /** The lanes that ever had an item: what tells takers of a new one. */
  readonly lanes: Bucket;
  /** Ids acknowledged lately. */
  readonly acked: Bucket;
  readonly leaseMs: number;
}

/** A message as it arrived; the lease runs since. */
interface Arrival {
  readonly message: Msg;
  readonly atMs: number;
}

class NatsWorkQueue implements WorkQueue {
  readonly #link: NatsLink;
  readonly #parts: QueueParts;
  readonly #knownLanes = new Set<string>();

  constructor(link: NatsLink, parts: QueueParts) {
    this.#link = link;
    this.#parts = parts;
  }

  async enqueue(lane: string, id: string, payload: Uint8Array): Promise<void> {
    checkItemName("a lane", lane);
    checkItemName("an item's id", id);
    checkValue(payload);
    const { subject, lanes, acked } = this.#parts;
    if (await acked.get(id)) return;
    if (!this.#knownLanes.has(lane)) {
      await lanes.create(lane, new Uint8Array()).catch((error: unknown) => {
        if (!hasCode(error, "conflict")) throw error;
      });
      this.#knownLanes.add(lane);
    }
    try {
      // Sent again, it is known by its id: a repetition after a lost answer adds nothing.
      await this.#link.call(
        `enqueue ${id}`,
        () => this.#link.js.publish(`${subject}.${lane}.${id}`, payload, { msgID: id }),
        { idempotent: true, refusals: [apiErrorCode.storeFailed] },
      );
    } catch (error) {
      if (apiErrorOf(error) !== apiErrorCode.storeFailed) throw error;
      // The subject is taken: the item waits, or somebody has it.
      if (apiReasonOf(error) === "maximum messages per subject exceeded") return;
      throw new PlatenError("unavailable", `cannot enqueue ${id}: JetStream says: ${apiReasonOf(error)}`, {
        cause: error,
      });
    }
  }

  async *deliveries(signal: AbortSignal): AsyncGenerator<Delivery> {
    const stop = new AbortController();
    const mailbox = new Mailbox<Arrival>();
    const end = () => {
      stop.abort();
      mailbox.end();
    };
    const fail = (error: unknown) => {
      stop.abort();
      mailbox.end(error);
    };
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    const late: Msg[] = [];
    const take = (message: Msg) => {
      if (stop.signal.aborted) late.push(message);
      else mailbox.put({ message, atMs: performance.now() });
    };
    const working = this.#serveLanes(stop.signal, take).then(end, fail);
    try {
      for await (const arrival of mailbox) {
        const delivery = await this.#accept(arrival);
        if (delivery) yield delivery;
      }
    } finally {
      signal.removeEventListener("abort", end);
      end();
      // Only when no request of this taker is left at the server: it would answer it with what is handed back.
      await working;
      for (const { message } of mailbox.remaining()) late.push(message);
      await this.#handBack(late);
    }
  }

  /** What nobody asked for any more goes to other takers at once, or else when its lease has run out. */
  async #handBack(messages: readonly Msg[]): Promise<void> {
    if (!this.#link.isConnected) return;
    await Promise.allSettled(messages.map((message) => this.#delivery(message).release(0)));
  }

  /** Takes messages from each lane that there is or will be, until the signal aborts. */
  async #serveLanes(signal: AbortSignal, take: (message: Msg) => void): Promise<void> {
    const serving = new Map<string, Promise<void>>();
    const failed = Promise.withResolvers<never>();
    const follow = async () => {
      for await (const change of this.#parts.lanes.watch(undefined, signal)) {
        if (change.kind !== "put" || serving.has(change.entry.key)) continue;
        const lane = change.entry.key;
        serving.set(lane, this.#serveLane(lane, signal, take).catch(failed.reject));
      }
    };
    await Promise.race([follow(), failed.promise]);
    await Promise.all(serving.values());
  }

  async #serveLane(lane: string, signal: AbortSignal, take: (message: Msg) => void): Promise<void> {
    let ready = false;
    while (!signal.aborted) {
      try {
        if (!ready) await this.#makeConsumer(lane, signal);
        ready = true;
        const answer = await this.#pull(lane, signal);
        if (answer === "lost") ready = false;
        else if (answer !== "none") take(answer);
      } catch (error) {
        if (signal.aborted) return;
        if (!hasCode(error, "unavailable") || this.#link.isClosed) throw error;
        ready = false;
      }
      if (!ready) await delay(retryPauseMs, undefined, { signal }).catch(() => {});
    }
  }

  async #makeConsumer(lane: string, signal: AbortSignal): Promise<void> {
    const { stream, subject, leaseMs } = this.#parts;
    await this.#link.call(
      `serve the lane ${lane}`,
      () =>
        this.#link.manager.consumers.add(stream, {
          durable_name: lane,
          filter_subject: `${subject}.${lane}.*`,
          ack_policy: AckPolicy.Explicit,
          deliver_policy: DeliverPolicy.All,
          ack_wait: nanos(leaseMs),
          max_ack_pending: 1,
          max_deliver: -1,
        }),
      { idempotent: true, signal },
    );
  }

  /** Asks for one message of the lane: "none" when there is none for a while, "lost" when connection or consumer went away. */
  async #pull(lane: string, signal: AbortSignal): Promise<Msg | "none" | "lost"> {
    const { connection } = this.#link;
    if (!this.#link.isConnected || signal.aborted) return "lost";
    const answer = Promise.withResolvers<Msg | "none" | "lost">();
    const inbox = createInbox();
    const subscription = connection.subscribe(inbox, {
      callback: (error, message) => answer.resolve(error ? "lost" : readAnswer(message)),
    });
    const off = this.#link.onLost(() => answer.resolve("lost"));
    const timer = setTimeout(() => answer.resolve("lost"), pullMs + 5000);
    const abort = () => {
      // What is on its way already still arrives before the drain ends.
      subscription.drain().then(
        () => answer.resolve("none"),
        () => answer.resolve("none"),
      );
    };
    signal.addEventListener("abort", abort);
    connection.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${this.#parts.stream}.${lane}`,
      JSON.stringify({ batch: 1, expires: nanos(pullMs) }),
      { reply: inbox },
    );
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      off();
      signal.removeEventListener("abort", abort);
      if (!subscription.isClosed() && !subscription.isDraining()) subscription.unsubscribe();
    }
  }

  /** The delivery, unless it is none any more: its lease is lost, or its acknowledgement was lost on its way. */
  async #accept({ message, atMs }: Arrival): Promise<Delivery | undefined> {
    const delivery = this.#delivery(message);
    try {
      if (performance.now() - atMs > this.#parts.leaseMs / 3) await delivery.extend();
      if ((await this.#parts.acked.get(delivery.id)) === undefined) return delivery;
      await this.#confirm(message, "+ACK", `acknowledge ${delivery.id}`);
      return undefined;
    } catch (error) {
      // It comes again when its lease has run out.
      if (hasCode(error, "conflict", "unavailable") && !this.#link.isClosed) return undefined;
      throw error;
    }
  }

  #delivery(message: Msg): Delivery {
    const [lane, id] = message.subject.slice(this.#parts.subject.length + 1).split(".") as [string, string];
    return {
      lane,
      id,
      payload: new Uint8Array(message.data),
      attempt: deliveryOf(message).attempt,
      ack: async () => {
        await this.#parts.acked.put(id, new Uint8Array());
        await this.#confirm(message, "+ACK", `acknowledge ${id}`);
      },
      extend: async () => {
        await this.#confirm(message, "+WPI", `renew the lease of ${id}`);
        if (!(await this.#isHeld(lane, message))) throw leaseLost(lane, id);
      },
      release: async (delayMs) => {
        // The question has a use beside its answer: the server looks through the requests that wait, and drops those of
        // takers that are gone. Left to itself, 2.9 may spend what is handed back on one of them.
        if (!(await this.#isHeld(lane, message))) return;
        const nak = delayMs > 0 ? `-NAK ${JSON.stringify({ delay: nanos(delayMs) })}` : "-NAK";
        await this.#confirm(message, nak, `release ${id}`);
      },
    };
  }

  /** Whether the message was delivered to nobody since. */
  async #isHeld(lane: string, message: Msg): Promise<boolean> {
    const { delivered, num_ack_pending } = await this.#link.call(
      `look after the lane ${lane}`,
      () => this.#link.manager.consumers.info(this.#parts.stream, lane),
      { idempotent: true },
    );
    return num_ack_pending > 0 && delivered.consumer_seq === deliveryOf(message).consumerSequence;
  }

  /** Tells the consumer something about a message, and waits until it has heard. */
  async #confirm(message: Msg, text: string, doing: string): Promise<void> {
    await this.#link.call(doing, () => this.#link.connection.request(message.reply!, text), {
      idempotent: true,
    });
  }
}

/** An answer to a request for a message: the message, or a status (ADR-13 of the NATS architecture). */
function readAnswer(message: Msg): Msg | "none" | "lost" {
  if (message.reply?.startsWith("$JS.ACK.")) return message;
  const code = message.headers?.code;
  return code === 404 || code === 408 ? "none" : "lost";
}

/**
 * A message's reply subject says which delivery it is (ADR-15): `$JS.ACK.` stream, consumer, deliveries, stream sequence,
 * consumer sequence, time, pending; newer servers put domain and account hash first, and may add a token at the end.
 */
function deliveryOf(message: Msg): { attempt: number; consumerSequence: number } {
  const tokens = message.reply!.split(".");
  const first = tokens.length > 9 ? 6 : 4;
  return { attempt: Number(tokens[first]), consumerSequence: Number(tokens[first + 2]) };
}

const leaseLost = (lane: string, id: string): PlatenError =>
  new PlatenError("conflict", `item ${id} of lane ${lane} went to somebody else: its lease ran out`);
