/**
 * The work queue port on the embedded database. Every commit is synced: an item that was taken in, and one that was
 * acknowledged, stays so through a crash and a power cut.
 */
import type { StatementSync } from "node:sqlite";
import { PlatenError } from "@platen/proto";
import { checkItemName, checkStoreName, checkValue } from "../../ports/names.ts";
import type { Delivery, WorkQueue, WorkQueueOptions, WorkQueues } from "../../ports/work-queue.ts";
import { Database } from "./database.ts";

/**
 * A lane has a row as long as it has items. Its first item may be taken from `due_ms` on: that is when it became free, when
 * the lease on its first item runs out, or when a released item is to come again. `holder` says which delivery has the lease.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS queue (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
  CREATE TABLE IF NOT EXISTS queue_item (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER NOT NULL, lane TEXT NOT NULL, id TEXT NOT NULL,
    payload BLOB NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, UNIQUE (queue, id)
  );
  CREATE INDEX IF NOT EXISTS queue_item_by_lane ON queue_item (queue, lane, seq);
  CREATE TABLE IF NOT EXISTS queue_lane (
    queue INTEGER NOT NULL, lane TEXT NOT NULL, due_ms INTEGER NOT NULL, holder TEXT, PRIMARY KEY (queue, lane)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS queue_lane_by_due ON queue_lane (queue, due_ms);
  CREATE TABLE IF NOT EXISTS queue_acked (
    queue INTEGER NOT NULL, id TEXT NOT NULL, until_ms INTEGER NOT NULL, PRIMARY KEY (queue, id)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS queue_acked_by_time ON queue_acked (until_ms);
`;

/** How long an acknowledged id is remembered. */
const ackedKnownMs = 120_000;

type Statements = Record<keyof typeof sql, StatementSync>;

const sql = {
  isAcked: "SELECT 1 FROM queue_acked WHERE queue = :queue AND id = :id AND until_ms > :nowMs",
  insert: `INSERT INTO queue_item (queue, lane, id, payload) VALUES (:queue, :lane, :id, :payload)
     ON CONFLICT (queue, id) DO NOTHING`,
  openLane: "INSERT OR IGNORE INTO queue_lane (queue, lane, due_ms) VALUES (:queue, :lane, :nowMs)",
  firstDue: "SELECT lane, due_ms AS dueMs FROM queue_lane WHERE queue = :queue ORDER BY due_ms LIMIT 1",
  head: `SELECT seq, lane, id, payload, attempts FROM queue_item WHERE queue = :queue AND lane = :lane
     ORDER BY seq LIMIT 1`,
  countAttempt: "UPDATE queue_item SET attempts = attempts + 1 WHERE seq = :seq",
  hold: "UPDATE queue_lane SET due_ms = :dueMs, holder = :holder WHERE queue = :queue AND lane = :lane",
  renew: "UPDATE queue_lane SET due_ms = :dueMs WHERE queue = :queue AND lane = :lane AND holder = :holder",
  letGo: `UPDATE queue_lane SET due_ms = :dueMs, holder = NULL
     WHERE queue = :queue AND lane = :lane AND holder = :holder`,
  remove: "DELETE FROM queue_item WHERE seq = :seq",
  closeLane: "DELETE FROM queue_lane WHERE queue = :queue AND lane = :lane",
  rememberAcked: "INSERT OR REPLACE INTO queue_acked (queue, id, until_ms) VALUES (:queue, :id, :untilMs)",
  forgetAcked: "DELETE FROM queue_acked WHERE until_ms <= :nowMs",
} as const;

interface Item {
  readonly seq: number;
  readonly lane: string;
  readonly id: string;
  readonly payload: Uint8Array;
  /** Deliveries before this one. */
  readonly attempts: number;
}

/** Opens the embedded work queues in a data folder, which it makes when it does not exist. */
export async function openSqliteWorkQueues(dataDir: string): Promise<WorkQueues> {
  const database = await Database.open(dataDir, { schema, synchronous: "FULL" });
  const statements = Object.fromEntries(
    Object.entries(sql).map(([name, text]) => [name, database.prepare(text)]),
  ) as Statements;
  const find = database.prepare("SELECT id FROM queue WHERE name = ?");
  const make = database.prepare("INSERT INTO queue (name) VALUES (?) RETURNING id");
  return {
    async queue(name: string, { leaseMs }: WorkQueueOptions): Promise<WorkQueue> {
      checkStoreName(name);
      const id = database.write(() => (find.get(name) ?? make.get(name))?.id as number);
      return new SqliteWorkQueue(database, statements, id, leaseMs);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      database[Symbol.dispose]();
    },
  };
}

class SqliteWorkQueue implements WorkQueue {
  readonly #database: Database;
  readonly #statements: Statements;
  readonly #queue: number;
  readonly #topic: string;
  readonly #leaseMs: number;

  constructor(database: Database, statements: Statements, queue: number, leaseMs: number) {
    this.#database = database;
    this.#statements = statements;
    this.#queue = queue;
    this.#topic = String(queue);
    this.#leaseMs = leaseMs;
  }

  async enqueue(lane: string, id: string, payload: Uint8Array): Promise<void> {
    checkItemName("a lane", lane);
    checkItemName("an item's id", id);
    checkValue(payload);
    const queue = this.#queue;
    this.#write((nowMs) => {
      if (this.#statements.isAcked.get({ queue, id, nowMs })) return;
      this.#statements.insert.run({ queue, lane, id, payload });
      // Of an id that waits already, in whatever lane, nothing was inserted, and its lane is open.
      if (this.#statements.head.get({ queue, lane })) this.#statements.openLane.run({ queue, lane, nowMs });
    });
  }

  async *deliveries(signal: AbortSignal): AsyncGenerator<Delivery> {
    while (!signal.aborted) {
      const mark = this.#database.feed.mark(this.#topic);
      const item = this.#take();
      if (item) yield this.#delivery(item);
      else await this.#database.feed.changed(this.#topic, mark, signal, this.#firstDue()?.dueMs);
    }
  }

  #firstDue(): { lane: string; dueMs: number } | undefined {
    return this.#database.query(() => this.#statements.firstDue.get({ queue: this.#queue })) as
      | { lane: string; dueMs: number }
      | undefined;
  }

  /** Takes the first item of the lane that has been free for longest. */
  #take(): Item | undefined {
    const nowMs = Date.now();
    // Most wake-ups find nothing: they need not queue up for the write lock.
    if ((this.#firstDue()?.dueMs ?? Number.POSITIVE_INFINITY) > nowMs) return undefined;
    const queue = this.#queue;
    return this.#database.write(() => {
      const due = this.#firstDue();
      if (due === undefined || due.dueMs > nowMs) return undefined;
      const item = this.#statements.head.get({ queue, lane: due.lane }) as unknown as Item;
      this.#statements.countAttempt.run({ seq: item.seq });
      this.#statements.hold.run({
        queue,
        lane: due.lane,
        dueMs: nowMs + this.#leaseMs,
        holder: holderOf(item),
      });
      return item;
    });
  }

  #delivery(item: Item): Delivery {
    const { seq, lane, id, payload, attempts } = item;
    const queue = this.#queue;
    const lease = { queue, lane, holder: holderOf(item) };
    return {
      lane,
      id,
      payload,
      attempt: attempts + 1,
      ack: async () =>
        this.#write((nowMs) => {
          if (this.#statements.remove.run({ seq }).changes === 0) return;
          if (this.#statements.head.get({ queue, lane })) {
            this.#statements.hold.run({ queue, lane, dueMs: nowMs, holder: null });
          } else {
            this.#statements.closeLane.run({ queue, lane });
          }
          this.#statements.rememberAcked.run({ queue, id, untilMs: nowMs + ackedKnownMs });
          this.#statements.forgetAcked.run({ nowMs });
        }),
      extend: async () => {
        const { changes } = this.#database.write(() =>
          this.#statements.renew.run({ ...lease, dueMs: Date.now() + this.#leaseMs }),
        );
        if (changes === 0) throw leaseLost(lane, id);
      },
      release: async (delayMs) =>
        this.#write((nowMs) => {
          this.#statements.letGo.run({ ...lease, dueMs: nowMs + delayMs });
        }),
    };
  }

  /** A write that takers are to hear of. */
  #write(work: (nowMs: number) => void): void {
    this.#database.write(() => work(Date.now()));
    this.#database.feed.notify(this.#topic);
  }
}

/** Names one delivery of one item; sequence numbers are never used again. */
const holderOf = ({ seq, attempts }: Item): string => `${seq}.${attempts + 1}`;

const leaseLost = (lane: string, id: string): PlatenError =>
  new PlatenError("conflict", `item ${id} of lane ${lane} went to somebody else: its lease ran out`);
