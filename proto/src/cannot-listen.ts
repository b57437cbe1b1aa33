/** Why a server cannot have the address that a person gave it, in words for that person. */
import { PlatenError } from "./error.ts";

/** By the system's name of the error, which gRPC has in the midst of its own text. */
const reasons: readonly (readonly [string, string])[] = [
  ["EADDRINUSE", "something listens there already"],
  ["EADDRNOTAVAIL", "this machine has no such address"],
  ["EACCES", "ports below 1024 are for privileged users"],
];

export function cannotListen(address: string, cause: Error): PlatenError {
  const why = reasons.find(([name]) => cause.message.includes(name))?.[1] ?? cause.message;
  return new PlatenError("configuration", `cannot listen on ${address}: ${why}`, { cause });
}
