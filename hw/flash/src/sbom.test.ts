import { expect, test } from "vitest";
import { formatSbom } from "./sbom.ts";

const npm = {
  name: "@grpc/grpc-js",
  version: "1.14.7",
  license: "Apache-2.0",
  integrity: "sha512-AQID",
  folder: "",
};
const debian = { name: "libc6", version: "2.36-9+deb12u10", architecture: "arm64", sha256: "ab".repeat(32) };

test("every package is there once, with its version, its hash and a URL that tools understand", () => {
  const text = formatSbom({
    name: "x",
    version: "1.0.0",
    epochS: 1_700_000_000,
    npm: [npm, npm],
    debian: [debian],
  });
  const { components, metadata, bomFormat } = JSON.parse(text) as {
    components: { purl: string; hashes: { alg: string; content: string }[]; licenses?: unknown }[];
    metadata: { timestamp: string };
    bomFormat: string;
  };
  expect(bomFormat).toBe("CycloneDX");
  expect(metadata.timestamp).toBe("2023-11-14T22:13:20.000Z");
  expect(components.map(({ purl }) => purl)).toEqual([
    "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=arm64&distro=debian-12",
    "pkg:npm/%40grpc/grpc-js@1.14.7",
  ]);
  expect(components.map(({ hashes }) => hashes[0])).toEqual([
    { alg: "SHA-256", content: "ab".repeat(32) },
    { alg: "SHA-512", content: "010203" },
  ]);
});

test("the same packages make the same text, in whatever order they come", () => {
  const other = { ...npm, name: "zod" };
  const bill = (list: (typeof npm)[]) =>
    formatSbom({ name: "x", version: "1", epochS: 1, npm: list, debian: [] });
  expect(bill([npm, other])).toBe(bill([other, npm]));
});
