/** Versions of the app or the system for the emulated board, good and bad, made from the one in the image. */
import { createPrivateKey, type KeyObject } from "node:crypto";
import { cp, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { packBundle, unpackBundle } from "../../firmware-node/src/updates/bundle.ts";
import { type AppManifest, decodeHead, type SystemManifest } from "@platen/proto/bundle";
import { Failed } from "./failed.ts";

/** Quick to pack; what is released is packed more tightly. */
const level = 3;

export class Releases implements AsyncDisposable {
  readonly #folder: string;
  readonly #bundleFile: string;
  readonly #manifest: AppManifest | SystemManifest;
  readonly #keyFile: string;

  private constructor(
    folder: string,
    bundleFile: string,
    manifest: AppManifest | SystemManifest,
    keyFile: string,
  ) {
    this.#folder = folder;
    this.#bundleFile = bundleFile;
    this.#manifest = manifest;
    this.#keyFile = keyFile;
  }

  /** From the bundle of the image's own app or system, and the release key that the image trusts, both files. */
  static async open(bundleFile: string, keyFile: string, temp: string): Promise<Releases> {
    const folder = await mkdtemp(join(temp, "releases-"));
    const bundle = decodeHead(await readFile(bundleFile), undefined);
    const { manifest } = bundle;
    if (manifest.kind === "runtime") throw new Error(`${bundleFile} is no app, and no system`);
    await unpackBundle(bundleFile, bundle, join(folder, "original"));
    return new Releases(folder, bundleFile, manifest, keyFile);
  }

  /** The version that is in the image. */
  get version(): string {
    return this.#manifest.version;
  }

  /** Of the image's own, as it would be sent. */
  async originalBytes(): Promise<number> {
    return (await stat(this.#bundleFile)).size;
  }

  /** Packs it as another version, after `change` to its files. Resolves to the bundle. */
  async make(
    version: string,
    { change, key }: { change?: (folder: string) => Promise<void>; key?: KeyObject } = {},
  ): Promise<string> {
    const privateKey = key ?? (await this.#releaseKey());
    const folder = join(this.#folder, version);
    await cp(join(this.#folder, "original"), folder, { recursive: true, verbatimSymlinks: true });
    await change?.(folder);
    const { kind, name, board, channels, main, commit, runtime } = this.#manifest;
    const manifest = { kind, name, version, board, channels, main, commit, runtime } as const;
    const file = join(this.#folder, `${version}.bundle`);
    await packBundle({ folder, manifest, privateKey, file, level });
    await rm(folder, { recursive: true });
    return file;
  }

  /** Read only where something is to be signed: an image that root built has its key with root. */
  async #releaseKey(): Promise<KeyObject> {
    const key = await readFile(this.#keyFile).catch((cause: Error) => {
      throw new Failed(
        `updates need the release key that the image trusts, and ${this.#keyFile} cannot be read (${cause.message}): ` +
          "name it with --key, or run this with sudo where the image was built with sudo",
      );
    });
    return createPrivateKey(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
