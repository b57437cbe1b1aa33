/**
 * How the roles of a backend know each other over TLS. One that does not know its own certificate, or calls itself by a name
 * that the certificate does not bear, would start, take jobs and never drive one: it is told at its start instead.
 */
import { X509Certificate } from "node:crypto";
import { duplexPair } from "node:stream";
import { checkServerIdentity, connect, createServer, getCACertificates } from "node:tls";
import { PlatenError, type TlsMaterial } from "@platen/proto";
import type { BackendConfig, Role } from "../config.ts";

/** What a role has to show to another one, and whom it trusts: a certificate that signed itself, where no authority is given, too. */
export function roleTls(tls: TlsMaterial): TlsMaterial {
  if (!tls.cert || tls.ca) return tls;
  const own = new X509Certificate(tls.cert);
  const signedItself = own.checkIssued(own) && own.verify(own.publicKey);
  if (!signedItself) return tls;
  return { ...tls, ca: Buffer.from([...getCACertificates("default"), own.toString()].join("\n")) };
}

/** Resolves when a client and a server with this material accept each other; rejects with why not. */
async function shakeHands(host: string, client: TlsMaterial, server: TlsMaterial): Promise<void> {
  const [near, far] = duplexPair();
  const authorities = server.ca && { ca: server.ca, requestCert: true };
  const listener = createServer({ cert: server.cert, key: server.key, ...authorities });
  const accepted = new Promise<void>((resolve, reject) => {
    listener.once("secureConnection", () => resolve());
    listener.once("tlsClientError", reject);
  });
  const socket = connect({
    ...client,
    socket: near,
    checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
  });
  const trusted = new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  listener.emit("connection", far);
  try {
    await Promise.all([trusted, accepted]);
  } finally {
    // What the end of it all still raises is of no interest.
    socket.on("error", () => {});
    socket.destroy();
    far.destroy();
  }
}

const hostOf = (hostPort: string): string =>
  hostPort.slice(0, hostPort.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1");

/** Throws `configuration` when roles of this process that call each other would refuse each other's certificate. */
export async function checkRoleTls(
  config: BackendConfig,
  plays: (role: Role) => boolean,
  tls: TlsMaterial,
): Promise<void> {
  const { executorAdvertiseHost, executorListen, advertise, listen, tlsCertFile, tlsCaFile } = config;
  if (!tls.cert) return;
  const called = [
    {
      isCalled: plays("executor") && (plays("instructors") || plays("controller")),
      host: executorAdvertiseHost ?? hostOf(executorListen),
      cure: "--executor-advertise-host or --executor-listen",
    },
    {
      isCalled: plays("instructors") && plays("controller"),
      host: hostOf(advertise ?? listen),
      cure: "--advertise or --listen",
    },
  ];
  for (const { isCalled, host, cure } of called) {
    if (!isCalled) continue;
    try {
      await shakeHands(host, roleTls(tls), tls);
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const names = new X509Certificate(tls.cert).subjectAltName ?? "no name";
      const advice =
        code === "ERR_TLS_CERT_ALTNAME_INVALID"
          ? `the certificate ${tlsCertFile} is not for ${host}, where the roles of this backend call each other, but for ${names}: give a name that it bears with ${cure}`
          : `the roles of this backend do not trust each other's certificate, ${tlsCertFile} (${message}): give the authority that it comes from with --tls-ca${tlsCaFile === undefined ? "" : `; ${tlsCaFile} is not it`}`;
      throw new PlatenError("configuration", advice, { cause });
    }
  }
}
