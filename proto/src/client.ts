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
  [status.ABORTED]: "conflict",
};

/** The error that a server threw, as it threw it; for what gRPC itself refuses, the nearest code. */
export function fromServiceError(error: ServiceError): PlatenError {
  const trailer = error.metadata?.get(errorCodeTrailer)[0];
  const code =
    typeof trailer === "string" && isErrorCode(trailer) ? trailer : (codeOfStatus[error.code] ?? "internal");
  return new PlatenError(code, error.details || error.message, { cause: error });
}

function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(options.headers ?? {})) metadata.set(key, value);
  return metadata;
}

const grpcOptions = (options: CallOptions): GrpcCallOptions =>
  options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };

/** Runs `start` so that `signal` cancels its call, and stops listening when the call is over. */
function cancelable<C extends { cancel(): void }>(call: C, signal: AbortSignal | undefined): () => void {
  if (!signal) return () => {};
  const cancel = () => call.cancel();
  if (signal.aborted) cancel();
  signal.addEventListener("abort", cancel, { once: true });
  return () => signal.removeEventListener("abort", cancel);
}

type Definition = ReturnType<typeof serviceDefinition>[string];

function unary(client: Client, m: Definition) {
  return async (request: object, options: CallOptions = {}): Promise<object> => {
    const { promise, resolve, reject } = Promise.withResolvers<object>();
    const call = client.makeUnaryRequest(
      m.path,
      m.requestSerialize,
      m.responseDeserialize,
      request,
      metadataOf(options),
      grpcOptions(options),
      (error, value) => (error ? reject(fromServiceError(error)) : resolve(value as object)),
    );
    const release = cancelable(call, options.signal);
    return promise.finally(release);
  };
}

function serverStreaming(client: Client, m: Definition) {
  return async function* (request: object, options: CallOptions = {}): AsyncGenerator<object> {
    const call = client.makeServerStreamRequest(
      m.path,
      m.requestSerialize,
      m.responseDeserialize,
      request,
      metadataOf(options),
      grpcOptions(options),
    );
    const release = cancelable(call, options.signal);
    try {
      yield* call as AsyncIterable<object>;
    } catch (error) {
      throw fromServiceError(error as ServiceError);
    } finally {
      release();
      call.cancel();
    }
  };
}

function clientStreaming(client: Client, m: Definition) {
  return async (requests: AsyncIterable<object>, options: CallOptions = {}): Promise<object> => {
    const { promise, resolve, reject } = Promise.withResolvers<object>();
    const call = client.makeClientStreamRequest(
      m.path,
      m.requestSerialize,
      m.responseDeserialize,
      metadataOf(options),
      grpcOptions(options),
      (error, value) => (error ? reject(fromServiceError(error)) : resolve(value as object)),
    );
    const release = cancelable(call, options.signal);
    let answered = false;
    const settled = promise.finally(() => {
      answered = true;
    });
    settled.catch(() => {});
    try {
      for await (const request of requests) {
        if (answered) break;
        if (!call.write(request)) {
          const drained = Promise.withResolvers<void>();
          call.once("drain", drained.resolve);
          await Promise.race([drained.promise, settled.then(() => {})]);
        }
      }
      call.end();
    } catch (error) {
      call.cancel();
      // A refusal by the server explains more than the broken write that it caused.
      await settled;
      throw error;
    } finally {
      settled.finally(release).catch(() => {});
    }
    return settled;
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

/**
 * Opens a lazy connection. `target` is a grpc-js target (`host:port`, `dns:///…`, `platen:///executors`).
 * Disposing closes it.
 */
export function connect(
  target: string,
  credentials: ChannelCredentials,
  options: ClientOptions = {},
): Connection {
  const client = new Client(target, credentials, {
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    ...options,
  });
  return {
    client: (service) => serviceClient(service, client),
    [Symbol.dispose]: () => client.close(),
  };
}
