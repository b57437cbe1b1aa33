/** Turns a protobuf service description into what grpc-js serves and calls. Nothing here knows any one service. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { GenService, GenServiceMethods } from "@bufbuild/protobuf/codegenv2";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";

export type Service = GenService<GenServiceMethods>;
export type Methods<S extends Service> = S extends GenService<infer M> ? M : never;
/** What of a method the types are made from. */
export type Method = Pick<DescMethod, "input" | "output" | "methodKind">;
export type Input<M extends Method> = MessageShape<M["input"]>;
export type Output<M extends Method> = MessageShape<M["output"]>;
export type InputInit<M extends Method> = MessageInitShape<M["input"]>;
export type OutputInit<M extends Method> = MessageInitShape<M["output"]>;

/** Largest message either way, bytes: an upload's chunk and every answer stay well below. */
export const maxMessageBytes = 4 * 1024 * 1024;

/** Trailer that carries the error code of PlatenError. */
export const errorCodeTrailer = "platen-error-code";

const serialize =
  (desc: DescMessage) =>
  (value: object): Buffer => {
    const bytes = toBinary(desc, create(desc, value as never));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };

const deserialize = (desc: DescMessage) => (bytes: Buffer) => fromBinary(desc, bytes);

const methodDefinition = (service: DescService, method: DescMethod): MethodDefinition<object, object> => ({
  path: `/${service.typeName}/${method.name}`,
  requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
  responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
  requestSerialize: serialize(method.input),
  requestDeserialize: deserialize(method.input),
  responseSerialize: serialize(method.output),
  responseDeserialize: deserialize(method.output),
});

/** The service as grpc-js wants it, keyed by the method's local name (`submitJob`). */
export const serviceDefinition = (service: DescService): ServiceDefinition =>
  Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(service, method)]));
