/** The standard health service, grpc.health.v1, on every server; clients find it by reflection too. */
import { type DescService, fromJson, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { handleServerStreamingCall, Server, ServerWritableStream } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";

export const healthServiceName = "grpc.health.v1.Health";

const request = ".grpc.health.v1.HealthCheckRequest";
const response = ".grpc.health.v1.HealthCheckResponse";
const statuses = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const field = (name: string, type: JsonObject) => [{ name, number: 1, label: "LABEL_OPTIONAL", ...type }];

/**
 * The GRPC Health Checking Protocol's grpc/health/v1/health.proto as a FileDescriptorProto. The one that grpc-health-check
 * makes of its own file does not link in strict clients.
 */
export const healthDescriptor: Uint8Array = toBinary(
  FileDescriptorProtoSchema,
  fromJson(FileDescriptorProtoSchema, {
    name: "grpc/health/v1/health.proto",
    package: "grpc.health.v1",
    syntax: "proto3",
    messageType: [
      { name: "HealthCheckRequest", field: field("service", { type: "TYPE_STRING" }) },
      {
        name: "HealthCheckResponse",
        field: field("status", { type: "TYPE_ENUM", typeName: `${response}.ServingStatus` }),
        enumType: [{ name: "ServingStatus", value: statuses.map((name, number) => ({ name, number })) }],
      },
    ],
    service: [
      {
        name: "Health",
        method: [
          { name: "Check", inputType: request, outputType: response },
          { name: "Watch", inputType: request, outputType: response, serverStreaming: true },
        ],
      },
    ],
  }),
);

/** Adds the health service; when it stops it lets go of those who watch, who would wait for ever. */
export function addHealth(server: Server, services: readonly DescService[]): { stop(): void } {
  const names = ["", ...services.map(({ typeName }) => typeName)];
  const health = new HealthImplementation(
    Object.fromEntries(names.map((name) => [name, "SERVING"] as const)),
  );
  const watchers = new Set<ServerWritableStream<unknown, unknown>>();
  const recorder: Pick<Server, "addService"> = {
    addService: (definition, { watch, ...others }) =>
      server.addService(definition, {
        ...others,
        watch: (call: ServerWritableStream<unknown, unknown>) => {
          watchers.add(call);
          call.once("cancelled", () => watchers.delete(call));
          (watch as handleServerStreamingCall<unknown, unknown>)(call);
        },
      }),
  };
  health.addToServer(recorder as Server);
  return {
    stop: () => {
      for (const name of names) health.setStatus(name, "NOT_SERVING");
      for (const call of watchers) call.end();
    },
  };
}
