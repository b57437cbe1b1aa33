/** The service config of a balanced channel: which policy chooses the server of a call, and when a call is tried again. */
import "./least-loaded.ts"; // registers the policy
import { liveEndpointsPolicy } from "./live-endpoints.ts";

/**
 * - `pick_first`: all calls go to one server, the first of the directory that answers, until it leaves. It does not go back
 *   to an earlier one that comes again.
 * - `round_robin`: to each in turn (claim 7).
 * - `least_loaded`: to the one with the fewest calls of this client under way (claim 6).
 */
export type BalancingPolicy = "pick_first" | "round_robin" | "least_loaded";

/**
 * Five attempts, the most that gRPC allows, after about 0.1, 0.2, 0.4 and 0.8 s, each with a jitter of ±20 %. Only
 * UNAVAILABLE is tried again: the server was not reached, or was lost before it answered. What it did with a call that was
 * lost nobody knows, so every request must carry an id that makes a repeat harmless (conversion.proto, request_id).
 * A stream is tried again only while nothing of it has arrived. No hedging: it would do work twice that nobody asked for.
 */
const retryPolicy = {
  maxAttempts: 5,
  initialBackoff: "0.1s",
  maxBackoff: "1s",
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE"],
};

/** As JSON, for the channel option `grpc.service_config`. */
export const serviceConfig = (policy: BalancingPolicy): string =>
  JSON.stringify({
    loadBalancingConfig: [{ [liveEndpointsPolicy]: { child: { [policy]: {} } } }],
    methodConfig: [{ name: [{}], retryPolicy }],
  });
