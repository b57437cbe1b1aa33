/** How to reach the NATS servers: addresses, TLS, credentials. */
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { loadTls, PlatenError, requireTlsUnlessLoopback, type TlsFiles } from "@platen/proto";
import { type ConnectionOptions, credsAuthenticator, ErrorCode } from "nats";

export interface NatsConfig {
  /**
   * Servers of one cluster: `host`, `host:port`, `nats://…`, or `tls://…` for TLS, then by the name on the certificate. A
   * user and password, or a token, may stand before the host (`nats://user:password@host`). Port 4222 by default.
   */
  readonly servers: readonly string[];
  /** For `tls://` servers: the CA that they must come from, and this side's certificate if they ask for one. */
  readonly tls?: TlsFiles;
  /** A `.creds` file (JWT and seed). */
  readonly credentialsFile?: string;
  /** Allows servers beyond the loopback without TLS. */
  readonly allowPlaintext?: boolean;
  /** How many servers of the cluster keep each stream that is made; default 1. More than one needs nats-server 2.11. */
  readonly replicas?: number;
  /** How long an operation waits for a connection, and then for its answer, milliseconds; default 5000. */
  readonly timeoutMs?: number;
}

/** What the client library makes of a configuration. Throws `configuration` and `plaintext-refused`. */
export async function connectionOptions(config: NatsConfig, timeoutMs: number): Promise<ConnectionOptions> {
  const urls = config.servers.map(parseServer);
  if (urls.length === 0) throw new PlatenError("configuration", "no NATS server is given");
  const secure = urls.some((url) => url.protocol === "tls:");
  const servers = urls.map((url) => `${url.hostname}:${url.port || 4222}`);
  for (const server of servers) {
    requireTlsUnlessLoopback(server, secure, config.allowPlaintext ?? false, "--allow-plaintext");
  }
  const addresses = urls.filter((url) => isIP(url.hostname.replace(/^\[|\]$/g, "")));
  if (secure && addresses.length > 0) {
    // The client library would look for "localhost" on the certificate of a server without a name.
    throw new PlatenError(
      "configuration",
      `${addresses[0]!.host}: a NATS server with TLS must be given by the host name on its certificate, not by an address`,
    );
  }
  return {
    servers,
    name: "platen",
    timeout: timeoutMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    // A server that hangs is found out within three pings.
    pingInterval: 5000,
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    ...(secure && { tls: await tlsOptions(config.tls ?? {}) }),
    ...(await credentials(urls, config.credentialsFile)),
  };
}

/**
 * Throws `configuration` for several replicas on a server before 2.11: there two simultaneous updates that expect the same
 * revision may both succeed (github.com/nats-io/nats-server/pull/6194), and sessions rest on one of them failing.
 */
export function checkReplicas(replicas: number, serverVersion: string): void {
  const [major = 0, minor = 0] = serverVersion.split(".").map(Number);
  if (replicas === 1 || major > 2 || (major === 2 && minor >= 11)) return;
  throw new PlatenError(
    "configuration",
    `the NATS server is version ${serverVersion}: ${replicas} replicas are safe from 2.11 on only; update it, or keep one replica`,
  );
}

function parseServer(text: string): URL {
  const url = URL.parse(text.includes("://") ? text : `nats://${text}`);
  if (!url?.hostname || !["nats:", "tls:"].includes(url.protocol)) {
    throw new PlatenError(
      "configuration",
      `${JSON.stringify(text)} is no NATS server: give host:port, nats://host:port or tls://host:port`,
    );
  }
  return url;
}

/** Files, not their contents: a connection that is made anew finds renewed certificates. */
async function tlsOptions(files: TlsFiles): Promise<NonNullable<ConnectionOptions["tls"]>> {
  await loadTls(files);
  const { certFile, keyFile, caFile } = files;
  return { ...(certFile && { certFile }), ...(keyFile && { keyFile }), ...(caFile && { caFile }) };
}

async function credentials(
  urls: readonly URL[],
  file: string | undefined,
): Promise<Pick<ConnectionOptions, "authenticator" | "user" | "pass" | "token">> {
  if (file !== undefined) {
    const contents = await readFile(file).catch((cause: Error) => {
      throw new PlatenError(
        "configuration",
        `cannot read the NATS credentials file ${file}: ${cause.message}`,
        {
          cause,
        },
      );
    });
    return { authenticator: credsAuthenticator(contents) };
  }
  const given = urls.find((url) => url.username);
  if (!given) return {};
  const user = decodeURIComponent(given.username);
  return given.password ? { user, pass: decodeURIComponent(given.password) } : { token: user };
}

const credentialCodes: ReadonlySet<string> = new Set([
  ErrorCode.AuthorizationViolation,
  ErrorCode.AuthenticationExpired,
  ErrorCode.AuthenticationTimeout,
  ErrorCode.BadAuthentication,
  ErrorCode.BadCreds,
  ErrorCode.AccountExpired,
]);

/** Why there is no connection. */
export function connectionFailure(error: unknown, { servers, tls }: ConnectionOptions): PlatenError {
  const { code, message } = error as NodeJS.ErrnoException;
  const say = (kind: "configuration" | "unavailable", sentence: string) =>
    new PlatenError(kind, sentence, { cause: error });
  if (code !== undefined && credentialCodes.has(code)) {
    return say("configuration", `the NATS server at ${servers} refuses the credentials: ${message}`);
  }
  if (code === ErrorCode.JetStreamNotEnabled) {
    return say("configuration", `the NATS server at ${servers} has no JetStream: start it with -js`);
  }
  if (code === ErrorCode.ServerOptionNotAvailable || code === ErrorCode.Tls || isCertificateError(code)) {
    return say("configuration", `cannot speak TLS with the NATS server at ${servers}: ${message}`);
  }
  // A server that wants a certificate just hangs up (TLS 1.3 tells only after the handshake).
  const hint = tls && !tls.certFile ? " (if it asks its clients for a certificate, give one)" : "";
  return say("unavailable", `no NATS server answers at ${servers}: ${message}${hint}`);
}

/** Node's codes for certificates that do not hold. */
const isCertificateError = (code: string | undefined): boolean =>
  code !== undefined && /CERT|TLS|SSL|ISSUER|SIGNATURE/.test(code);
