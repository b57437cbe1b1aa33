/** Certificates for this machine, made anew. */
import { generate } from "selfsigned";

/** A self-signed certificate for 127.0.0.1 and localhost; it is its own authority. PEM. */
export async function makeCertificate(): Promise<{ cert: Buffer; key: Buffer }> {
  const made = await generate([{ name: "commonName", value: "localhost" }], {
    keyType: "ec",
    extensions: [
      { name: "basicConstraints", cA: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  });
  return { cert: Buffer.from(made.cert), key: Buffer.from(made.private) };
}

/** The same place by its name: TLS asks for names, not addresses (RFC 6066). */
export const onLocalhost = (address: string): string => address.replace("127.0.0.1", "localhost");
