/** Keys, folders and bundles for tests. */
import { createHash, createPrivateKey, type KeyObject } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type KeySet, type Manifest, type ManifestInput, openKeySet, signKeySet } from "@platen/proto/bundle";

export interface TempFolder extends AsyncDisposable {
  readonly path: string;
}

export async function tempFolder(): Promise<TempFolder> {
  const path = await mkdtemp(join(tmpdir(), "platen-updates-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** The same ed25519 key for the same name: tests are the same every time. */
export function testKey(name: string): KeyObject {
  // RFC 8410 section 7: what stands before the 32 bytes of an ed25519 key in PKCS #8.
  const prefix = Buffer.from("302e020100300506032b657004220420", "hex");
  const seed = createHash("sha256").update(name).digest();
  return createPrivateKey({ key: Buffer.concat([prefix, seed]), format: "der", type: "pkcs8" });
}

export const rootKey = testKey("root");
export const releaseKey = testKey("release");
export const keySetBytes = signKeySet({ number: 1, root: [rootKey], release: [releaseKey] }, [rootKey]);
export const keySet: KeySet = openKeySet(keySetBytes);

/** Makes a folder of files; a text that begins with "-> " is a symbolic link. */
export async function makeTree(
  folder: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    const full = join(folder, path);
    await mkdir(dirname(full), { recursive: true });
    if (typeof content === "string" && content.startsWith("-> ")) await symlink(content.slice(3), full);
    else await writeFile(full, content, { mode: path.startsWith("bin/") ? 0o755 : 0o644 });
  }
}

export const appManifest = (
  version: string,
  changes: Partial<Omit<Extract<ManifestInput, { kind: "app" }>, "kind">> = {},
): ManifestInput => ({
  kind: "app",
  name: "platen-printer",
  version,
  board: "linux-test",
  channels: ["stable"],
  main: "main.js",
  commit: "",
  runtime: { version: process.versions.node, sha256: "0".repeat(64) },
  ...changes,
});

/** A packed bundle, and how a backend offers it. */
export async function offeredFrom(file: string, { version, payload }: Manifest) {
  const bytes = await readFile(file);
  const sha256Hex = createHash("sha256").update(bytes).digest("hex");
  const offered = {
    sha256Hex,
    sizeBytes: BigInt(bytes.length),
    url: `http://127.0.0.1/v1/updates/${sha256Hex}`,
    version,
    payloadSha256Hex: payload.sha256,
  };
  return { file, bytes, offered };
}
