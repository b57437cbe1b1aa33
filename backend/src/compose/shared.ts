/** What the roles in one process share: stores, registry, credentials, and how they end. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { connectBalanced } from "@platen/balancer";
import { type Connection, clientCredentials, hasCode, PlatenError, type TlsMaterial } from "@platen/proto";
import type { Registry, ServiceName } from "../app/registry.ts";
import type { SessionStores } from "../app/session-stores.ts";
import type { BackendConfig } from "../config.ts";
import type { Storage } from "../ports/storage.ts";
import { roleTls } from "./role-trust.ts";

/** What all roles in a process share. */
export interface Shared {
  readonly config: BackendConfig;
  readonly storage: Storage;
  readonly registry: Registry;
  readonly stores: SessionStores;
  readonly tls: TlsMaterial;
  readonly secure: boolean;
  readonly log: (error: PlatenError) => void;
  readonly now: () => number;
  /** Ended in reverse order when the backend is disposed. */
  readonly stack: AsyncDisposableStack;
  /** Run when the backend drains, in order. */
  readonly draining: (() => Promise<void>)[];
}

/** An id that no other process has, for the registry and for people. */
export const processId = (): string =>
  `${hostname()
    .replace(/[^A-Za-z0-9-]/g, "-")
    .slice(0, 24)}-${randomBytes(3).toString("hex")}`;

/** A server that cannot listen is told with the flag that gave it its address. */
export async function listening<T>(flag: string, starting: Promise<T>): Promise<T> {
  try {
    return await starting;
  } catch (error) {
    if (!hasCode(error, "configuration") || !(error.cause instanceof Error)) throw error;
    const inUse = error.cause.message.includes("EADDRINUSE");
    const advice = inUse
      ? ": is another platen serve running? Choose other addresses with --listen and --http-listen"
      : "";
    throw new PlatenError("configuration", `${error.message} (${flag})${advice}`, { cause: error });
  }
}

/** Lists a server of this process in the registry until it drains. */
export async function announce(
  shared: Shared,
  service: ServiceName,
  id: string,
  address: string,
): Promise<void> {
  const announcement = shared.stack.use(await shared.registry.announce(service, { id, address }));
  shared.draining.unshift(() => announcement.withdraw());
}

export function balanced(shared: Shared, service: ServiceName): Connection {
  const { config, registry, tls, secure, stack } = shared;
  const policy = service === "executors" ? config.balancing : "round_robin";
  return stack.use(
    connectBalanced(service, {
      directory: registry,
      policy,
      credentials: clientCredentials(roleTls(tls), secure),
    }),
  );
}
