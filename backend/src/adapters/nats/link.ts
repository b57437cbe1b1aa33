/** One connection to the NATS servers, and what its absence and its errors mean to the ports. */
import { setTimeout as delay } from "node:timers/promises";
import { PlatenError } from "@platen/proto";
import {
  connect,
  ErrorCode,
  Events,
  type JetStreamClient,
  type JetStreamManager,
  type NatsConnection,
  NatsError,
  type QueuedIterator,
  type Status,
  StorageType,
  type StreamConfig,
} from "nats";
import {
  checkReplicas,
  connectionFailure,
  connectionOptions,
  type NatsConfig,
} from "./connection-options.ts";

/** JetStream's own error codes (nats-server/server/errors.json). */
export const apiErrorCode = {
  noMessageFound: 10037,
  messageDeleteFailed: 10057,
  streamNotFound: 10059,
  subjectsOverlap: 10065,
  wrongLastSequence: 10071,
  storeFailed: 10077,
} as const;

export const apiErrorOf = (error: unknown): number | undefined =>
  error instanceof NatsError ? error.api_error?.err_code : undefined;

/** What JetStream says of it, in words. */
export const apiReasonOf = (error: unknown): string =>
  (error instanceof NatsError && error.api_error?.description) || "";

export interface CallOptions<T> {
  /** The operation changes nothing, or nothing more when done again: it is tried until the time is up. */
  readonly idempotent?: boolean;
  /** Refusals of JetStream's that the caller knows what to make of: thrown as they are, for `apiErrorOf`. */
  readonly refusals?: readonly number[];
  /** Told of a result that came after the call had failed, to dispose of it. */
  readonly abandon?: (result: T) => void;
  /** Aborted, the call fails at once, with the signal's reason. */
  readonly signal?: AbortSignal;
}

const retryPauseMs = 100;

export class NatsLink implements AsyncDisposable {
  readonly connection: NatsConnection;
  readonly js: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly replicas: number;
  readonly #timeoutMs: number;
  readonly #lost = new Set<() => void>();
  readonly #found = new Set<() => void>();
  readonly #following: Promise<void>;
  #isConnected = true;

  private constructor(
    connection: NatsConnection,
    manager: JetStreamManager,
    replicas: number,
    timeoutMs: number,
  ) {
    this.connection = connection;
    this.js = connection.jetstream({ timeout: timeoutMs });
    this.manager = manager;
    this.replicas = replicas;
    this.#timeoutMs = timeoutMs;
    this.#following = this.#follow();
  }

  /** Connects; throws `configuration`, `plaintext-refused`, or `unavailable` when no server answers. */
  static async open(config: NatsConfig): Promise<NatsLink> {
    const timeoutMs = config.timeoutMs ?? 5000;
    const options = await connectionOptions(config, timeoutMs);
    let connection: NatsConnection | undefined;
    try {
      connection = await connect(options);
      const replicas = config.replicas ?? 1;
      checkReplicas(replicas, connection.info?.version ?? "");
      const manager = await connection.jetstreamManager({ timeout: timeoutMs });
      return new NatsLink(connection, manager, replicas, timeoutMs);
    } catch (error) {
      await connection?.close();
      throw error instanceof PlatenError ? error : connectionFailure(error, options);
    }
  }

  /**
   * Runs an operation once there is a connection. Throws what NATS says as a PlatenError, and `unavailable` when it says
   * nothing in time or the connection is lost meanwhile.
   */
  async call<T>(doing: string, operation: () => Promise<T>, options: CallOptions<T> = {}): Promise<T> {
    const giveUpMs = performance.now() + this.#timeoutMs;
    for (;;) {
      await this.#reachable(doing, options.signal);
      try {
        return await this.#unlessLost(operation, options);
      } catch (error) {
        options.signal?.throwIfAborted();
        const again = isNotTaken(error) || (options.idempotent && isTransient(error));
        if (!again || performance.now() > giveUpMs || this.connection.isClosed()) {
          throw this.#failure(error, doing, options.refusals ?? []);
        }
        await delay(retryPauseMs);
      }
    }
  }

  /** Calls the listener each time when the connection is lost, and when it is closed. Returns what ends that. */
  onLost(listener: () => void): () => void {
    this.#lost.add(listener);
    return () => this.#lost.delete(listener);
  }

  /** Makes a stream when it does not exist; one that exists stays as it is. */
  async ensureStream(config: Partial<StreamConfig> & { name: string }): Promise<void> {
    await this.call(
      `open the stream ${config.name}`,
      async () => {
        try {
          await this.manager.streams.info(config.name);
        } catch (error) {
          if (apiErrorOf(error) !== apiErrorCode.streamNotFound) throw error;
          await this.manager.streams.add({
            storage: StorageType.File,
            num_replicas: this.replicas,
            ...config,
          });
        }
      },
      { idempotent: true },
    );
  }

  get isConnected(): boolean {
    return this.#isConnected && !this.isClosed;
  }

  get isClosed(): boolean {
    return this.connection.isClosed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection.close();
    await this.#following;
  }

  async #follow(): Promise<void> {
    const statuses = this.connection.status() as QueuedIterator<Status>;
    void this.connection.closed().then(() => statuses.stop());
    for await (const { type } of statuses) {
      if (type === Events.Disconnect) this.#turn(false);
      else if (type === Events.Reconnect) this.#turn(true);
    }
    this.#turn(false);
    for (const listener of this.#found) listener();
  }

  #turn(connected: boolean): void {
    this.#isConnected = connected;
    for (const listener of connected ? this.#found : this.#lost) listener();
  }

  /** Waits for a connection; throws `unavailable` when none comes in time. */
  async #reachable(doing: string, signal: AbortSignal | undefined): Promise<void> {
    if (!this.#isConnected && !this.isClosed && !signal?.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, this.#timeoutMs);
      const listener = () => resolve();
      this.#found.add(listener);
      signal?.addEventListener("abort", listener);
      await promise;
      clearTimeout(timer);
      this.#found.delete(listener);
      signal?.removeEventListener("abort", listener);
    }
    signal?.throwIfAborted();
    if (!this.isConnected) throw unavailable(doing, this.isClosed ? "the storage is closed" : connectionLost);
  }

  async #unlessLost<T>(operation: () => Promise<T>, { abandon, signal }: CallOptions<T>): Promise<T> {
    const over = Promise.withResolvers<never>();
    const listener = () => over.reject(NatsError.errorForCode(ErrorCode.Disconnect));
    const off = this.onLost(listener);
    signal?.addEventListener("abort", listener);
    // Async, for the library throws some of its errors at once.
    const pending = (async () => operation())();
    try {
      return await Promise.race([pending, over.promise]);
    } catch (error) {
      pending.then(abandon, () => {});
      throw error;
    } finally {
      off();
      signal?.removeEventListener("abort", listener);
    }
  }

  #failure(error: unknown, doing: string, refusals: readonly number[]): unknown {
    if (!(error instanceof NatsError)) return error;
    if (error.api_error) {
      return refusals.includes(error.api_error.err_code!) ? error : apiFailure(error, doing);
    }
    if (isTransient(error)) {
      const reasons: Partial<Record<string, string>> = {
        [ErrorCode.Timeout]: "the NATS server does not answer",
        [ErrorCode.NoResponders]: "JetStream is not ready on the NATS server",
      };
      return unavailable(doing, reasons[error.code] ?? connectionLost, error);
    }
    const known: Partial<Record<string, [PlatenError["code"], string]>> = {
      [ErrorCode.MaxPayloadExceeded]: [
        "invalid-argument",
        "the value is larger than the NATS server's max_payload",
      ],
      [ErrorCode.PermissionsViolation]: [
        "configuration",
        `the NATS server does not permit it: ${error.message}`,
      ],
    };
    const [code, why] = known[error.code] ?? ["internal", `NATS says ${error.code}: ${error.message}`];
    return new PlatenError(code, `cannot ${doing}: ${why}`, { cause: error });
  }
}

const connectionLost = "the connection to the NATS server is lost";

const unavailable = (doing: string, why: string, cause?: unknown): PlatenError =>
  new PlatenError("unavailable", `cannot ${doing}: ${why}`, cause === undefined ? {} : { cause });

/** The request reached nobody, so it may be sent again whatever it is. */
const isNotTaken = (error: unknown): boolean =>
  error instanceof NatsError && error.code === ErrorCode.NoResponders && !error.api_error;

const transientCodes: ReadonlySet<string> = new Set([
  ErrorCode.Timeout,
  ErrorCode.NoResponders,
  ErrorCode.Disconnect,
  ErrorCode.ConnectionClosed,
  ErrorCode.ConnectionDraining,
  ErrorCode.ConnectionRefused,
  ErrorCode.ConnectionTimeout,
]);

const isTransient = (error: unknown): boolean =>
  error instanceof NatsError &&
  (error.api_error
    ? // Said also to one of two who make the same stream at once (seen with nats-server 2.9): next time it is there.
      error.api_error.err_code === apiErrorCode.subjectsOverlap
    : transientCodes.has(error.code));

/** A server in trouble (a full disk, a cluster without a leader) is `unavailable`. */
function apiFailure(error: NatsError, doing: string): PlatenError {
  const { code, description } = error.api_error!;
  return new PlatenError(
    code >= 500 ? "unavailable" : "internal",
    `cannot ${doing}: JetStream says: ${description}`,
    { cause: error },
  );
}
