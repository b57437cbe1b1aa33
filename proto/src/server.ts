/** Typed servers, with reflection and health on every one. */
import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Server, type ServerCredentials } from "@grpc/grpc-js";
import { Calls } from "./calls.ts";
import { cannotListen } from "./cannot-listen.ts";
import { PlatenError } from "./error.ts";
import { type AnyHandler, bind, type ServiceHandlers, type Shared } from "./handler.ts";
import { maxMessageBytes, type Service, serviceDefinition } from "./service.ts";

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
  /**
   * Lets health say NOT_SERVING, refuses new calls with `unavailable`, and stops when those under way have ended. That takes
   * as long as they do; disposing meanwhile cuts them short.
   */
  drain(): Promise<void>;
}

/** How long connections have to close in an orderly way when no call is left, milliseconds. */
const closingMs = 1000;

/** Serves the services with reflection and health. Disposing ends calls under way at once, with `unavailable`. */
export async function serve(
  services: readonly BoundService[],
  options: ServeOptions,
): Promise<RunningServer> {
  // Only servers load these: both bring another protobuf library, which takes some megabytes and a tenth of a second.
  const [{ ReflectionService }, { addHealth, healthDescriptor, healthServiceName }] = await Promise.all([
    import("@grpc/reflection"),
    import("./health.ts"),
  ]);
  const server = new Server({
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    // Calls of a caller that fell silent without closing its connection (power, network) are canceled after 45 s.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 15_000,
  });
  const calls = new Calls();
  const shared: Shared = {
    // A call's getAuthContext() knows TLS only when the caller had a certificate.
    secure: options.credentials._isSecure(),
    log: options.log ?? ((error) => console.error(error.cause ?? error)),
    calls,
  };
  for (const { service, handlers } of services) {
    const definition = serviceDefinition(service);
    const bound = Object.entries(definition).map(([name, method]) => [
      name,
      bind(handlers[name] as AnyHandler, method, shared),
    ]);
    server.addService(definition, Object.fromEntries(bound));
  }
  const descs = services.map(({ service }) => service);
  // Of a package definition, @grpc/reflection 1.0.4 reads fileDescriptorProtos only.
  const files = [...fileDescriptors(descs), Buffer.from(healthDescriptor)];
  const reflection = { all: { fileDescriptorProtos: files } };
  const names = [...descs.map((desc) => desc.typeName), healthServiceName];
  new ReflectionService(reflection as never, { services: names }).addToServer(server);
  const health = addHealth(server, descs);

  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(options.address, options.credentials, (error, bound) =>
      error ? reject(cannotListen(options.address, error)) : resolve(bound),
    );
  });
  // Only called when no call is under way: Node cannot ping over a connection that is closing, and grpc-js takes the lack of
  // an answer to its keepalive for the death of the other side. Nor does grpc-js ever see the end of a connection that never
  // spoke HTTP/2, such as a client's that tried TLS.
  const close = () =>
    new Promise<void>((resolve) => {
      const force = setTimeout(() => {
        server.forceShutdown();
        resolve();
      }, closingMs);
      server.tryShutdown(() => {
        clearTimeout(force);
        resolve();
      });
    });
  return {
    address: `${options.address.slice(0, options.address.lastIndexOf(":"))}:${port}`,
    drain: async () => {
      health.stop();
      await calls.drain();
      await close();
    },
    [Symbol.asyncDispose]: async () => {
      health.stop();
      // Of a connection that is merely cut, grpc-js tells the callers that they canceled.
      calls.end(new PlatenError("unavailable", "the server has stopped"));
      await close();
    },
  };
}
