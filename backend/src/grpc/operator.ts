/** Who may do what operators do. */
import { type CallContext, PlatenError } from "@platen/proto";
import { sameKey } from "../app/printers.ts";

/**
 * Lets operators through: who knows `operatorKey` (header `Bearer KEY`), or, where there is none, who calls from this machine.
 * Throws `unauthenticated`.
 */
export function requireOperator(
  operatorKey: string | undefined,
  { header, loopback }: Pick<CallContext, "header" | "loopback">,
): void {
  if (operatorKey === undefined) {
    if (loopback) return;
    throw new PlatenError(
      "unauthenticated",
      "operators on other machines need an operator key, and this backend has none set",
    );
  }
  const given = /^Bearer (.+)$/.exec(header("authorization") ?? "")?.[1] ?? "";
  if (!sameKey(given, operatorKey)) throw new PlatenError("unauthenticated", "the operator key is wrong");
}
