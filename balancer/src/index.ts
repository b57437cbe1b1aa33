/** Balancing of single requests, by the client, over the servers of a live directory. */
import type { ChannelCredentials, ChannelOptions } from "@grpc/grpc-js";
import { type Connection, connect } from "@platen/proto";
import type { Directory } from "./directory.ts";
import { directoryTarget } from "./resolver.ts";
import { type BalancingPolicy, serviceConfig } from "./service-config.ts";

export type { Directory, Endpoint } from "./directory.ts";
export type { BalancingPolicy } from "./service-config.ts";

export interface BalancedOptions {
  directory: Directory;
  policy: BalancingPolicy;
  /** For all servers alike; with TLS each server's certificate must name the host under which the directory lists it. */
  credentials: ChannelCredentials;
  /** Further options of grpc-js. */
  channelOptions?: ChannelOptions;
}

/**
 * A connection to all servers that `directory` lists for `service`, a host-like name such as "executors"; each call goes to
 * one of them. While the directory lists none, calls wait as long as their deadline lasts: give every call one, or a signal.
 * When none can be reached, or a call is lost, it is tried again (service-config.ts), and then fails with `unavailable`.
 * Only for services whose requests may be repeated. Disposing stops following the directory.
 */
export function connectBalanced(
  service: string,
  { directory, policy, credentials, channelOptions }: BalancedOptions,
): Connection {
  const { target, options } = directoryTarget(service, directory);
  return connect(target, credentials, {
    "grpc.service_config": serviceConfig(policy),
    // A proxy would be asked for the service by its name, which means nothing to it.
    "grpc.enable_http_proxy": 0,
    ...channelOptions,
    ...options,
  });
}
