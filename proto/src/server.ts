/** Typed servers: async functions and generators as handlers, with reflection and health on every server. */
import type { EventEmitter } from "node:events";
import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  Metadata,
  Server,
  type ServerCredentials,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type ServiceError,
  type UntypedHandleCall,
} from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { errorTable, PlatenError, toPlatenError } from "./error.ts";
import {
  errorCodeTrailer,
  type Input,
  type Method,
  type Methods,
  maxMessageBytes,
  type OutputInit,
  type Service,
  serviceDefinition,
} from "./service.ts";

/** What a handler knows of its call beside the request. */
export interface CallContext {
  /** Aborts when the caller goes away, cancels, or its deadline passes. */
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
type AnyCall = Pick<ServerUnaryCall<object, object>, "getAuthContext" | "getPeer" | "metadata"> &
  EventEmitter;

type AnyHandler = (request: unknown, context: CallContext) => unknown;

function toServiceError(thrown: unknown, log: (error: PlatenError) => void): ServiceError {
  const error = toPlatenError(thrown);
  if (error.code === "internal") log(error);
  const metadata = new Metadata();
  metadata.set(errorCodeTrailer, error.code);
  return Object.assign(new Error(error.message), {
    code: errorTable[error.code].grpc,
    details: error.message,
    metadata,
  });
}

const isLoopback = (peer: string): boolean =>
  peer.startsWith("127.") || peer.startsWith("[::1]") || peer.startsWith("::1") || peer.startsWith("unix:");

function contextOf(call: AnyCall): { context: CallContext; finish: () => void } {
  const abort = new AbortController();
  call.on("cancelled", () => abort.abort(new PlatenError("canceled", "the caller canceled the call")));
  return {
    context: {
      signal: abort.signal,
      header: (name) => call.metadata.get(name)[0]?.toString(),
      peer: call.getPeer(),
      secure: call.getAuthContext().transportSecurityType === "ssl",
      loopback: isLoopback(call.getPeer()),
    },
    finish: () => call.removeAllListeners("cancelled"),
  };
}

async function writeAll(call: ServerWritableStream<object, object>, messages: AsyncIterable<object>) {
  for await (const message of messages) {
    if (call.cancelled) return;
    if (!call.write(message)) {
      await new Promise<void>((resolve) => {
        call.once("drain", resolve);
        call.once("cancelled", resolve);
      });
    }
  }
}

function bind(
  handler: AnyHandler,
  requestStream: boolean,
  responseStream: boolean,
  log: (e: PlatenError) => void,
) {
  if (responseStream) {
    return async (call: ServerWritableStream<object, object>) => {
      const { context, finish } = contextOf(call);
      try {
        await writeAll(call, handler(call.request, context) as AsyncIterable<object>);
        call.end();
      } catch (thrown) {
        call.emit("error", toServiceError(thrown, log));
      } finally {
        finish();
      }
    };
  }
  return async (
    call: ServerUnaryCall<object, object> | ServerReadableStream<object, object>,
    callback: sendUnaryData<object>,
  ) => {
    const { context, finish } = contextOf(call);
    try {
      const request = requestStream ? call : (call as ServerUnaryCall<object, object>).request;
      callback(null, (await handler(request, context)) as object);
    } catch (thrown) {
      callback(toServiceError(thrown, log));
    } finally {
      finish();
    }
  };
}

/** One service with its handlers, ready for `serve`. */
export interface BoundService {
  readonly service: DescService;
  readonly handlers: Readonly<Record<string, unknown>>;
}

/** Ties handlers to a service; the handlers throw PlatenError, and this binding turns it into a status. */
export const bindService = <S extends Service>(service: S, handlers: ServiceHandlers<S>): BoundService => ({
  service,
  handlers,
});

function fileDescriptors(services: readonly DescService[]): Buffer[] {
  const files = new Map<string, Buffer>();
  const add = (file: DescFile): void => {
    if (files.has(file.proto.name)) return;
    files.set(file.proto.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
    file.dependencies.forEach(add);
  };
  for (const service of services) add(service.file);
  return [...files.values()];
}

export interface ServeOptions {
  /** `host:port`; port 0 lets the system choose. */
  address: string;
  credentials: ServerCredentials;
  /** Told of errors that nobody foresaw. Default: standard error. */
  log?: (error: PlatenError) => void;
}

export interface RunningServer extends AsyncDisposable {
  /** `host:port` as bound. */
  readonly address: string;
  /** Lets health say NOT_SERVING, takes no new calls, and waits for those under way. */
  drain(): Promise<void>;
}

/** Serves the services with reflection and health. Disposing ends calls under way at once. */
export async function serve(
  services: readonly BoundService[],
  options: ServeOptions,
): Promise<RunningServer> {
  const log = options.log ?? ((error) => console.error(error.cause ?? error));
  const server = new Server({
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
  });
  for (const { service, handlers } of services) {
    const bound = Object.entries(serviceDefinition(service)).map(([name, method]) => [
      name,
      bind(
        handlers[name] as AnyHandler,
        method.requestStream,
        method.responseStream,
        log,
      ) as UntypedHandleCall,
    ]);
    server.addService(serviceDefinition(service), Object.fromEntries(bound));
  }
  const descs = services.map(({ service }) => service);
  // Of a package definition, @grpc/reflection 1.0.4 reads fileDescriptorProtos only.
  const reflection = { all: { fileDescriptorProtos: fileDescriptors(descs) } };
  new ReflectionService(reflection as never, { services: descs.map((s) => s.typeName) }).addToServer(server);
  const health = new HealthImplementation(
    Object.fromEntries(["", ...descs.map((s) => s.typeName)].map((name) => [name, "SERVING" as const])),
  );
  health.addToServer(server);

  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(options.address, options.credentials, (error, bound) =>
      error
        ? reject(
            new PlatenError("configuration", `cannot listen on ${options.address}: ${error.message}`, {
              cause: error,
            }),
          )
        : resolve(bound),
    );
  });
  return {
    address: `${options.address.slice(0, options.address.lastIndexOf(":"))}:${port}`,
    drain: () => {
      for (const name of ["", ...descs.map((s) => s.typeName)]) health.setStatus(name, "NOT_SERVING");
      return new Promise((resolve) => server.tryShutdown(() => resolve()));
    },
    [Symbol.asyncDispose]: async () => server.forceShutdown(),
  };
}
