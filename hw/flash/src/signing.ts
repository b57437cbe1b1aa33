/** The keys that sign bundles, and the set of them that boards trust. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
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

/** Where this machine's keys are: no cache, which may be emptied. Those that an earlier build left in `cache` stay in use. */
export async function keysFolder(cache: string): Promise<string> {
  const earlier = join(cache, "keys");
  const data = process.env["XDG_DATA_HOME"] || join(homedir(), ".local/share");
  return (await namesIn(earlier)).length > 0 ? earlier : join(data, "platen-flash/keys");
}

/**
 * Keys of this machine, made once: for boards of one's own. Throws `configuration` where some of them are there and others are not:
 * boards trust no others, so none is ever written over.
 */
export async function ownKeys(folder: string): Promise<Signing> {
  const there = await namesIn(folder);
  if (there.length === 0) await makeKeys(folder);
  // The root key is for the next key set; whoever keeps it elsewhere builds all the same.
  else {
    const missing = ["release.pem", "keys"].filter((name) => !there.includes(name));
    if (missing.length > 0) {
      throw new PlatenError(
        "configuration",
        `${folder} holds keys that boards may trust, but not ${missing.join(" and ")}: put it back; new keys are made where the folder is gone`,
      );
    }
  }
  return givenKeys(join(folder, "release.pem"), join(folder, "keys"));
}

/** All or none of them. */
async function makeKeys(folder: string): Promise<void> {
  const part = `${folder}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true, mode: 0o700 });
  const root = generateKeyPairSync("ed25519").privateKey;
  const release = generateKeyPairSync("ed25519").privateKey;
  const pem = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" });
  await writeFile(join(part, "root.pem"), pem(root), { mode: 0o600 });
  await writeFile(join(part, "release.pem"), pem(release), { mode: 0o600 });
  await writeFile(join(part, "keys"), signKeySet({ number: 1, root: [root], release: [release] }, [root]));
  await rename(part, folder);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
