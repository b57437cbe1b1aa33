/** Typed clients: promises for single answers, async iterables for streams, PlatenError for failures. */
import { type ChannelCredentials, Client, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import type { CallOptions as GrpcCallOptions, ClientOptions } from "@grpc/grpc-js";
import { type ErrorCode, isErrorCode, PlatenError } from "./error.ts";
import {
  errorCodeTrailer,
  type InputInit,
  type Method,
  type Methods,
  maxMessageBytes,
  type Output,
  type Service,
  serviceDefinition,
} from "./service.ts";
import { connectionTrouble, isLoopbackHost } from "./tls.ts";

export interface CallOptions {
  /** Ends the call with `canceled`. */
  signal?: AbortSignal;
  /** Ends the call with `deadline-exceeded` after so many milliseconds; default: no deadline. */
  timeoutMs?: number;
  /** Sent as gRPC metadata, for example `{ authorization: "Bearer …" }`. */
  headers?: Readonly<Record<string, string>>;
}

type Call<M extends Method> = {
  unary: (request: InputInit<M>, options?: CallOptions) => Promise<Output<M>>;
  server_streaming: (request: InputInit<M>, options?: CallOptions) => AsyncIterable<Output<M>>;
  /** Settles when the server answers or refuses, whether all requests were taken or not; their rest is then let go. */
  client_streaming: (requests: AsyncIterable<InputInit<M>>, options?: CallOptions) => Promise<Output<M>>;
  bidi_streaming: never;
}[M["methodKind"]];

export type ServiceClient<S extends Service> = { [K in keyof Methods<S>]: Call<Methods<S>[K]> };

const codeOfStatus: Partial<Record<status, ErrorCode>> = {
  [status.CANCELLED]: "canceled",
  [status.DEADLINE_EXCEEDED]: "deadline-exceeded",
  [status.UNAVAILABLE]: "unavailable",
  [status.UNIMPLEMENTED]: "unimplemented",
  [status.UNAUTHENTICATED]: "unauthenticated",
  [status.INVALID_ARGUMENT]: "invalid-argument",
  [status.RESOURCE_EXHAUSTED]: "message-too-large",
  [status.ABORTED]: "conflict",
};

/** The error that a server threw, as it threw it; for what gRPC itself refuses, the nearest code. */
export function fromServiceError(error: ServiceError): PlatenError {
  const trailer = error.metadata?.get(errorCodeTrailer)[0];
  const code =
    typeof trailer === "string" && isErrorCode(trailer) ? trailer : (codeOfStatus[error.code] ?? "internal");
  const message = error.details || error.message;
  return new PlatenError(code, code === "unavailable" ? connectionTrouble(message) : message, {
    cause: error,
  });
}

function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(options.headers ?? {})) metadata.set(key, value);
  return metadata;
}

const grpcOptions = (options: CallOptions): GrpcCallOptions =>
  options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };

/**
 * Cancels a call. grpc-js 1.14.7 ends a call that is canceled within the microtasks of its start, but sends it all the same,
 * and it would run on at the server with nobody to cancel it.
 */
function cancel(call: { cancel(): void }): void {
  call.cancel();
  setImmediate(() => call.cancel());
}

/** Lets `signal` cancel a call until the returned function is called. */
function cancelable(call: { cancel(): void }, signal: AbortSignal | undefined): () => void {
  const onAbort = () => cancel(call);
  signal?.addEventListener("abort", onAbort, { once: true });
  return () => signal?.removeEventListener("abort", onAbort);
}

type Definition = ReturnType<typeof serviceDefinition>[string];

/** Begins a call. One that is canceled already, or comes after its connection was closed, never begins. */
function begin<C>(options: CallOptions, make: (metadata: Metadata, grpcOptions: GrpcCallOptions) => C): C {
  const { signal } = options;
  if (signal?.aborted) {
    throw new PlatenError("canceled", "the call was canceled before it began", { cause: signal.reason });
  }
  const metadata = metadataOf(options);
  try {
    return make(metadata, grpcOptions(options));
  } catch (cause) {
    throw new PlatenError("canceled", "the connection is closed", { cause });
  }
}

function unary(client: Client, m: Definition) {
  return async (request: object, options: CallOptions = {}): Promise<object> => {
    const { promise, resolve, reject } = Promise.withResolvers<object>();
    const call = begin(options, (metadata, grpcOptions) =>
      client.makeUnaryRequest(
        m.path,
        m.requestSerialize,
        m.responseDeserialize,
        request,
        metadata,
        grpcOptions,
        (error, value) => (error ? reject(fromServiceError(error)) : resolve(value as object)),
      ),
    );
    const release = cancelable(call, options.signal);
    return promise.finally(release);
  };
}

function serverStreaming(client: Client, m: Definition) {
  return async function* (request: object, options: CallOptions = {}): AsyncGenerator<object> {
    const call = begin(options, (metadata, grpcOptions) =>
      client.makeServerStreamRequest(
        m.path,
        m.requestSerialize,
        m.responseDeserialize,
        request,
        metadata,
        grpcOptions,
      ),
    );
    const release = cancelable(call, options.signal);
    try {
      yield* call as AsyncIterable<object>;
    } catch (error) {
      throw fromServiceError(error as ServiceError);
    } finally {
      release();
      cancel(call);
    }
  };
}

function clientStreaming(client: Client, m: Definition) {
  return async (requests: AsyncIterable<object>, options: CallOptions = {}): Promise<object> => {
    const { promise, resolve, reject } = Promise.withResolvers<object>();
    const call = begin(options, (metadata, grpcOptions) =>
      client.makeClientStreamRequest(
        m.path,
        m.requestSerialize,
        m.responseDeserialize,
        metadata,
        grpcOptions,
        (error, value) => (error ? reject(fromServiceError(error)) : resolve(value as object)),
      ),
    );
    const release = cancelable(call, options.signal);
    let over = false;
    let goOn = () => {};
    call.on("drain", () => goOn());
    const send = async () => {
      for await (const request of requests) {
        if (over) return;
        if (call.write(request)) continue;
        await new Promise<void>((resume) => {
          goOn = resume;
        });
        if (over) return;
      }
      call.end();
    };
    // Nobody waits for the sender: the server may answer or refuse, and the caller cancel, while the source is at rest.
    send().catch((error: unknown) => {
      reject(error);
      cancel(call);
    });
    return promise.finally(() => {
      over = true;
      goOn();
      release();
    });
  };
}

/** A typed client of one service over a grpc-js client, which may serve several. */
export function serviceClient<S extends Service>(service: S, client: Client): ServiceClient<S> {
  const calls = Object.entries(serviceDefinition(service)).map(([name, definition]) => {
    const make = definition.requestStream
      ? clientStreaming
      : definition.responseStream
        ? serverStreaming
        : unary;
    return [name, make(client, definition)];
  });
  return Object.fromEntries(calls) as ServiceClient<S>;
}

export interface Connection extends Disposable {
  client<S extends Service>(service: S): ServiceClient<S>;
}

const isLoopbackTarget = (target: string): boolean =>
  isLoopbackHost(target.slice(0, target.lastIndexOf(":")));

/**
 * Opens a lazy connection. `target` is a grpc-js target (`host:port`, `dns:///…`, `platen:///executors`).
 * Disposing closes it, and is for when its calls have ended: they may be cut short, and new ones are `canceled`.
 */
export function connect(
  target: string,
  credentials: ChannelCredentials,
  options: ClientOptions = {},
): Connection {
  const client = new Client(target, credentials, {
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    // A peer that fell silent without closing the connection (power, network) fails the calls under way after 15 s.
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
    // A peer that comes again is found within seconds; the default is two minutes.
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 5_000,
    // What http_proxy names is no way to this machine itself.
    "grpc.enable_http_proxy": isLoopbackTarget(target) ? 0 : 1,
    ...options,
  });
  return {
    client: (service) => serviceClient(service, client),
    [Symbol.dispose]: () => client.close(),
  };
}
