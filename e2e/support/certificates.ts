/** Certificates made for a test: an authority, and what it issues, as the PEM files that the programs' options name. */
import { writeFile } from "node:fs/promises";
import { isIPv4 } from "node:net";
import { join } from "node:path";
import { generate } from "selfsigned";

const options = { keyType: "ec", algorithm: "sha256" } as const;

/** Paths of PEM files. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

export interface Authority {
  /** Path of its own certificate, PEM. */
  readonly ca: string;
  /** A certificate for host names and IPv4 addresses, as good for a client as for a server. */
  issue(name: string, hosts?: readonly string[]): Promise<CertificateFiles>;
}

/** A certificate for `localhost` that signed itself: of no authority, and none itself. */
export async function selfSigned(dir: string, name: string): Promise<CertificateFiles> {
  const made = await generate([{ name: "commonName", value: name }], {
    ...options,
    extensions: [
      { name: "basicConstraints", cA: false, critical: true },
      { name: "subjectAltName", altNames: [{ type: 2, value: "localhost" }] },
    ],
  });
  const files = { cert: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) };
  await writeFile(files.cert, made.cert);
  await writeFile(files.key, made.private, { mode: 0o600 });
  return files;
}

/** When certificates are good; default: for a year from now on. */
export interface Validity {
  readonly from: Date;
  readonly until: Date;
}

/** An authority that keeps its files in `dir`. */
export async function makeAuthority(
  dir: string,
  commonName: string,
  validity?: Validity,
): Promise<Authority> {
  const all = {
    ...options,
    ...(validity && { notBeforeDate: validity.from, notAfterDate: validity.until }),
  };
  const own = await generate([{ name: "commonName", value: commonName }], {
    ...all,
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, critical: true },
    ],
  });
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(dir, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  return {
    ca: await file(`${commonName}.ca.pem`, own.cert),
    issue: async (name, hosts = ["localhost"]) => {
      const altNames = hosts.map((host) =>
        isIPv4(host) ? { type: 7 as const, ip: host } : { type: 2 as const, value: host },
      );
      const issued = await generate([{ name: "commonName", value: name }], {
        ...all,
        ca: { cert: own.cert, key: own.private },
        extensions: [{ name: "subjectAltName", altNames }],
      });
      return {
        cert: await file(`${name}.pem`, issued.cert),
        key: await file(`${name}.key`, issued.private),
      };
    },
  };
}
