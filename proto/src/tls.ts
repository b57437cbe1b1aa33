/** TLS for every listener and every client, from three PEM files. */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { BlockList, isIP, isIPv6 } from "node:net";
import { type ConnectionOptions, createSecureContext } from "node:tls";
import { ChannelCredentials, ServerCredentials } from "@grpc/grpc-js";
import { PlatenError } from "./error.ts";
import { fileTrouble } from "./file-trouble.ts";

/** Paths of PEM files. */
export interface TlsFiles {
  /** Certificate chain of this side. */
  certFile?: string | undefined;
  /** Private key of this side. */
  keyFile?: string | undefined;
  /** Certificate authorities that the other side's certificate must come from. A server that has it asks its clients for one. */
  caFile?: string | undefined;
}

/** The contents of TlsFiles, PEM. */
export interface TlsMaterial {
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly ca?: Buffer;
}

async function pem(path: string | undefined, what: string): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path);
  } catch (cause) {
    throw new PlatenError("configuration", `cannot read the TLS ${what} ${path}: ${fileTrouble(cause)}`, {
      cause,
    });
  }
}

/** Reads the files; throws `configuration` when one cannot be read or used, or a certificate lacks its key. */
export async function loadTls(files: TlsFiles): Promise<TlsMaterial> {
  const [cert, key, ca] = await Promise.all([
    pem(files.certFile, "certificate"),
    pem(files.keyFile, "key"),
    pem(files.caFile, "CA"),
  ]);
  if ((cert === undefined) !== (key === undefined)) {
    throw new PlatenError("configuration", "TLS needs both a certificate and its key");
  }
  const material = { ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }) };
  try {
    createSecureContext(material);
    // An authority that is none would only be noticed when every peer is refused.
    if (ca) void new X509Certificate(ca);
  } catch (cause) {
    const paths = [files.certFile, files.keyFile, files.caFile].filter((path) => path !== undefined);
    throw new PlatenError(
      "configuration",
      `TLS cannot be set up with ${paths.join(", ")}: ${(cause as Error).message}`,
      { cause },
    );
  }
  return material;
}

/** Credentials of a listener: TLS with a certificate, plaintext without. */
export function serverCredentials(tls: TlsMaterial): ServerCredentials {
  if (!tls.cert || !tls.key) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(
    tls.ca ?? null,
    [{ cert_chain: tls.cert, private_key: tls.key }],
    tls.ca !== undefined,
  );
}

/** Credentials of a client: TLS when `secure`, trusting `ca` or else the system's authorities. */
export function clientCredentials(tls: TlsMaterial, secure: boolean): ChannelCredentials {
  if (!secure) return ChannelCredentials.createInsecure();
  const credentials = ChannelCredentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null);
  // grpc-js 1.14.7 sends addresses as server names, which RFC 6066 forbids and Node warns of. Without a name Node checks the
  // certificate against the host, which is the same address.
  const connector = credentials._createSecureConnector.bind(credentials);
  credentials._createSecureConnector = (...given) => {
    const made = connector(...given);
    const { connectionOptions } = made as { connectionOptions?: ConnectionOptions };
    if (connectionOptions && isIP(connectionOptions.servername ?? "")) delete connectionOptions.servername;
    return made;
  };
  return credentials;
}

/**
 * Why there is no connection, from what gRPC, Node and OpenSSL say of it, which is advice on Node's own flags or has line
 * numbers of OpenSSL in it. The text itself where nothing better is known.
 */
export function connectionTrouble(text: string): string {
  const why = text.replaceAll(/^.*Last error: (Error: )?|\. Resolution note: *$/g, "");
  const untrusted = /^(.*certificate.*); if the root CA is installed/.exec(why)?.[1];
  if (untrusted) {
    return `the certificate shown there is not trusted (${untrusted}): name the authority that signed it with --tls-ca`;
  }
  if (why.startsWith("Name resolution failed")) return "there is no host of that name";
  if (why.startsWith("Failed to connect (")) return "the connection was closed at once";
  const reason = /SSL routines:[^:]*:([^:]+):/.exec(why)?.[1];
  if (reason === "wrong version number") return "what answers there does not speak TLS";
  return reason ? `TLS failed (${reason})` : why;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Whether a host, by name or address (IPv6 with brackets or without), is this machine itself. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  return bare === "localhost" || loopback.check(bare, isIPv6(bare) ? "ipv6" : "ipv4");
}

/**
 * Plaintext is for the loopback, or asked for by flag. Throws `plaintext-refused` for anything else.
 * `hostPort` is what a listener binds or a client dials; `flag` names the option that allows it, `remedy` says what gives it TLS.
 */
export function requireTlsUnlessLoopback(
  hostPort: string,
  secure: boolean,
  allowPlaintext: boolean,
  flag: string,
  remedy = "give a certificate and key",
): void {
  const host = hostPort.slice(0, hostPort.lastIndexOf(":"));
  if (secure || allowPlaintext || isLoopbackHost(host)) return;
  throw new PlatenError(
    "plaintext-refused",
    `${hostPort} is not on this machine and no TLS is set up for it: ${remedy}, or allow plaintext with ${flag}`,
  );
}
