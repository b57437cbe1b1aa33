/** How a call is run: async functions and generators as handlers, PlatenError as status, AbortSignal as cancellation. */
import { type EventEmitter, once } from "node:events";
import {
  Metadata,
  type sendUnaryData,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type UntypedHandleCall,
} from "@grpc/grpc-js";
import type { Calls } from "./calls.ts";
import { errorTable, PlatenError, toPlatenError } from "./error.ts";
import {
  errorCodeTrailer,
  type Input,
  type Method,
  type Methods,
  type OutputInit,
  type Service,
} from "./service.ts";
import { isLoopbackHost } from "./tls.ts";

/** What a handler knows of its call beside the request. */
export interface CallContext {
  /** Aborts when the caller goes away or cancels, its deadline passes, or the server stops. */
  readonly signal: AbortSignal;
  /** Value of a metadata entry, or undefined. */
  header(name: string): string | undefined;
  /** The caller's address, for logs. */
  readonly peer: string;
  /** Whether the call came over TLS. */
  readonly secure: boolean;
  /** Whether the caller is on this machine. */
  readonly loopback: boolean;
}

type Handler<M extends Method> = {
  unary: (request: Input<M>, context: CallContext) => Promise<OutputInit<M>> | OutputInit<M>;
  server_streaming: (request: Input<M>, context: CallContext) => AsyncIterable<OutputInit<M>>;
  client_streaming: (requests: AsyncIterable<Input<M>>, context: CallContext) => Promise<OutputInit<M>>;
  bidi_streaming: never;
}[M["methodKind"]];

export type ServiceHandlers<S extends Service> = { [K in keyof Methods<S>]: Handler<Methods<S>[K]> };

/** What all server calls have. */
type AnyCall = Pick<ServerUnaryCall<object, object>, "getPeer" | "metadata"> & EventEmitter;

export type AnyHandler = (request: unknown, context: CallContext) => unknown;

type Log = (error: PlatenError) => void;

/** Longest message of a status, in characters; it travels in a header. */
const maxDetailsLength = 2000;

/**
 * What the caller is told. Of an error that nobody foresaw that is nothing but that there was one: its message is for the log,
 * and may speak of things that are not the caller's.
 */
function toServiceError(thrown: unknown, log: Log): ServiceError {
  const error = toPlatenError(thrown);
  if (error.code === "internal") log(error);
  const foreseen = error.code !== "internal" || thrown === error;
  const message = foreseen ? error.message : "the server failed; its log says why";
  const metadata = new Metadata();
  metadata.set(errorCodeTrailer, error.code);
  return Object.assign(new Error(message), {
    code: errorTable[error.code].grpc,
    // grpc-js throws at half a surrogate pair.
    details: message.slice(0, maxDetailsLength).toWellFormed(),
    metadata,
  });
}

/** What the calls of one server share. */
export interface Shared {
  readonly secure: boolean;
  readonly log: Log;
  readonly calls: Calls;
}

/** Runs one call: `work` answers it, `refuse` ends it with an error. */
async function run(
  call: AnyCall,
  { secure, log, calls }: Shared,
  refuse: (error: ServiceError) => void,
  work: (context: CallContext) => Promise<void>,
): Promise<void> {
  const abort = new AbortController();
  const cancel = () => abort.abort(new PlatenError("canceled", "the caller went away"));
  const peer = call.getPeer();
  let ended = () => {};
  try {
    ended = calls.begin((reason) => {
      abort.abort(reason);
      refuse(toServiceError(reason, log));
    });
    call.once("cancelled", cancel);
    await work({
      signal: abort.signal,
      header: (name) => call.metadata.get(name)[0]?.toString(),
      peer,
      secure,
      loopback: isLoopbackHost(peer.slice(0, peer.lastIndexOf(":"))),
    });
  } catch (thrown) {
    // Once it is aborted nobody listens any more.
    if (!abort.signal.aborted) refuse(toServiceError(thrown, log));
  } finally {
    // grpc-js says "cancelled" after each call, also one that ended well.
    call.off("cancelled", cancel);
    ended();
  }
}

/** Writes as fast as the caller reads: some messages wait in memory, the others are not asked for yet. */
async function writeAll(
  call: ServerWritableStream<object, object>,
  messages: AsyncIterable<object>,
  signal: AbortSignal,
): Promise<void> {
  for await (const message of messages) {
    signal.throwIfAborted();
    if (!call.write(message)) await once(call, "drain", { signal });
  }
}

/**
 * The caller's messages. That they break off because the caller went away is no failure of the server, and no end: Node
 * closes its half of a stream in good order before it resets it, so what looks like the end is looked at twice. A reset that
 * comes in a later packet is not seen in time: what must be whole needs its size told before (intake.proto, DocumentHeader).
 */
async function* readAll(
  call: ServerReadableStream<object, object>,
  signal: AbortSignal,
): AsyncGenerator<object> {
  try {
    yield* call as AsyncIterable<object>;
    await new Promise(setImmediate);
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
  signal.throwIfAborted();
}

/** A handler as grpc-js wants it. */
export function bind(
  handler: AnyHandler,
  { requestStream, responseStream }: { requestStream: boolean; responseStream: boolean },
  shared: Shared,
): UntypedHandleCall {
  if (responseStream) {
    return (call: ServerWritableStream<object, object>) =>
      run(
        call,
        shared,
        (error) => call.emit("error", error),
        async (context) => {
          const messages = handler(call.request, context) as AsyncIterable<object>;
          await writeAll(call, messages, context.signal);
          call.end();
          await once(call, "finish", { signal: context.signal });
        },
      );
  }
  return (
    call: ServerUnaryCall<object, object> | ServerReadableStream<object, object>,
    callback: sendUnaryData<object>,
  ) =>
    run(call, shared, callback, async (context) => {
      const request = requestStream
        ? readAll(call as ServerReadableStream<object, object>, context.signal)
        : (call as ServerUnaryCall<object, object>).request;
      const answer = (await handler(request, context)) as object;
      if (!context.signal.aborted) callback(null, answer);
    });
}
