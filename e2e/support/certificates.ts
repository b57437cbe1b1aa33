/** Certificates made for a test: an authority, and what it issues, as the PEM files that the programs' options name. */
import { writeFile } from "node:fs/promises";
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
  /** A certificate for a host name, as good for a client as for a server. */
  issue(name: string, host?: string): Promise<CertificateFiles>;
}

/** An authority that keeps its files in `dir`. */
export async function makeAuthority(dir: string, commonName: string): Promise<Authority> {
  const own = await generate([{ name: "commonName", value: commonName }], {
    ...options,
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
    issue: async (name, host = "localhost") => {
      const issued = await generate([{ name: "commonName", value: name }], {
        ...options,
        ca: { cert: own.cert, key: own.private },
        extensions: [{ name: "subjectAltName", altNames: [{ type: 2, value: host }] }],
      });
      return {
        cert: await file(`${name}.pem`, issued.cert),
        key: await file(`${name}.key`, issued.private),
      };
    },
  };
}
