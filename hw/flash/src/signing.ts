/** The keys that sign bundles, and the set of them that boards trust. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PlatenError } from "@platen/proto";
import { signKeySet } from "@platen/proto/bundle";

export interface Signing {
  /** Signs bundles. */
  readonly releaseKey: KeyObject;
  /** A file: the key set that comes with the image. */
  readonly keySet: string;
}

/** Keys that a person keeps. Throws `configuration` when they cannot be read. */
export async function givenKeys(key: string, keySet: string): Promise<Signing> {
  try {
    await readFile(keySet);
    return { releaseKey: createPrivateKey(await readFile(key)), keySet };
  } catch (cause) {
    throw new PlatenError("configuration", `cannot use the keys: ${(cause as Error).message}`, { cause });
  }
}

/** Keys of this machine, made once: for boards of one's own. */
export async function ownKeys(folder: string): Promise<Signing> {
  const files = {
    root: join(folder, "root.pem"),
    release: join(folder, "release.pem"),
    keySet: join(folder, "keys"),
  };
  try {
    return {
      releaseKey: createPrivateKey(await readFile(files.release)),
      keySet: await exists(files.keySet),
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [root, release] = [
    generateKeyPairSync("ed25519").privateKey,
    generateKeyPairSync("ed25519").privateKey,
  ];
  const pem = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" });
  await writeFile(files.root, pem(root), { mode: 0o600 });
  await writeFile(files.release, pem(release), { mode: 0o600 });
  // Last, so that a set without its keys is not taken for whole.
  await writeFile(
    `${files.keySet}.part`,
    signKeySet({ number: 1, root: [root], release: [release] }, [root]),
  );
  await rename(`${files.keySet}.part`, files.keySet);
  return { releaseKey: release, keySet: files.keySet };
}

async function exists(path: string): Promise<string> {
  await readFile(path);
  return path;
}
