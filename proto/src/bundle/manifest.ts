/** What a bundle says of itself: the signed part of its file. */
import { PlatenError } from "../error.ts";
import { z } from "zod";

/** Of the bundle's file and of this manifest. */
export const bundleFormat = 1;
/** What this updater can do; a bundle that needs more says so in `updaterMin`. Level 2 knows systems. */
export const updaterLevel = 2;
/** What an updater must be able to do for a bundle of a kind. */
export const levelOf = (kind: Manifest["kind"]): number => (kind === "system" ? 2 : 1);
/** Longest manifest, bytes. */
export const manifestMaxBytes = 64 * 1024;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 lower-case hexadecimal digits");
/** Semantic versioning 2.0.0, without build metadata: what orders versions must tell them apart. */
const semanticVersion = z
  .string()
  .max(64)
  .regex(
    /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/,
    "must be a version such as 1.4.0 or 1.5.0-beta.2",
  );
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "must be 1 to 64 small letters, digits, . _ or -");
/** A file inside the payload. */
const innerPath = z
  .string()
  .max(200)
  .regex(/^(?!\/)(?!(.*\/)?\.{1,2}(\/|$))[\x21-\x7e]+$/, "must be a path inside the bundle");
const size = z.number().int().nonnegative();

const common = {
  format: z.literal(bundleFormat),
  /** For people: what it is. */
  name,
  version: semanticVersion,
  /** What it runs on, for example `linux-arm64-glibc`. */
  board: name,
  /** Where it may be offered. */
  channels: z.array(name).min(1).max(16),
  /** The file that is started: of an app, what Node runs; of a runtime, Node itself; of a system, its kernel. */
  main: innerPath,
  payload: z.strictObject({ sizeBytes: size, sha256, unpackedBytes: size, files: size }),
  /** What it was built from, a git commit. */
  commit: z.string().regex(/^[0-9a-f]{40}$|^$/, "must be a git commit"),
  /** Least `updaterLevel` of an updater that can install it. */
  updaterMin: z.number().int().positive(),
  /** Which key signed it: see keys.ts. */
  keyId: z.string().regex(/^[0-9a-f]{16}$/),
};

/** A runtime: its version, and the SHA-256 of that bundle's payload. */
const runtime = z.strictObject({ version: semanticVersion, sha256 });

export const manifestSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("app"), ...common, /** The one it needs. */ runtime }),
  z.strictObject({ kind: z.literal("runtime"), ...common }),
  z.strictObject({ kind: z.literal("system"), ...common, /** The one that is part of it. */ runtime }),
]);

export type Manifest = Readonly<z.infer<typeof manifestSchema>>;
export type AppManifest = Extract<Manifest, { kind: "app" }>;
export type SystemManifest = Extract<Manifest, { kind: "system" }>;
/** What a person gives; the rest follows from the payload and the key. */
export type ManifestInput = Given<z.input<typeof manifestSchema>>;
type Given<T> = T extends unknown ? Omit<T, "format" | "payload" | "keyId" | "updaterMin"> : never;

/** Throws `update-invalid`. */
export function parseManifest(bytes: Uint8Array): Manifest {
  const refuse = (what: string, cause?: unknown): never => {
    throw new PlatenError("update-invalid", `the bundle's manifest ${what}`, { cause });
  };
  let json: { format?: unknown; updaterMin?: unknown };
  try {
    json = Object(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))) as typeof json;
  } catch (cause) {
    return refuse("is not JSON", cause);
  }
  // Said first, so that whoever has an old updater learns that and not which field it stumbles over.
  if (json.format !== bundleFormat || Number(json.updaterMin) > updaterLevel) {
    refuse("is of a later format: this updater is too old for it");
  }
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return Object.freeze(parsed.data);
  const mistakes = parsed.error.issues.map(({ path, message }) => [...path, message].join(": "));
  return refuse(`is not one: ${mistakes.join("; ")}`);
}

/** As it is signed: keys in alphabetical order, no white space. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const sorted = (_: string, value: unknown): unknown =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return Buffer.from(JSON.stringify(manifest, sorted), "utf8");
}
