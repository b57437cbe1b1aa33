import { randomBytes } from "node:crypto";
import { lstat, readdir, readFile, readlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Header } from "tar";
import { describe, expect, test } from "vitest";
import { packBundle, unpackBundle, verifyBundle } from "./bundle.ts";
import { disk } from "./disk.ts";
import { openKeySet, signKeySet } from "@platen/proto/bundle";
import { unpackTar } from "./tar.ts";
import {
  appManifest,
  keySet,
  makeTree,
  releaseKey,
  rootKey,
  tempFolder,
  testKey,
} from "./testing/bundles.ts";

const files = {
  "main.js": "console.log('printing')\n",
  "bin/tool": "#!/bin/sh\n",
  "empty.txt": "",
  "lib/deep/er/a.bin": randomBytes(300_000),
  "lib/link": "-> deep/er/a.bin",
};

async function packed(folder: string, level = 3) {
  await makeTree(join(folder, "tree"), files);
  const file = join(folder, "app.bundle");
  const manifest = await packBundle({
    folder: join(folder, "tree"),
    manifest: appManifest("1.2.3"),
    privateKey: releaseKey,
    file,
    level,
  });
  return { file, manifest };
}

describe("a bundle", () => {
  test("unpacks to what was packed: files, modes, links", async () => {
    await using folder = await tempFolder();
    const { file, manifest } = await packed(folder.path);
    const bundle = await verifyBundle(file, keySet);
    expect(bundle.manifest).toEqual(manifest);
    const out = join(folder.path, "out");
    await unpackBundle(file, bundle, out);
    expect(await readFile(join(out, "lib/deep/er/a.bin"))).toEqual(files["lib/deep/er/a.bin"]);
    expect(await readFile(join(out, "main.js"), "utf8")).toBe(files["main.js"]);
    expect(await readFile(join(out, "empty.txt"), "utf8")).toBe("");
    expect(await readlink(join(out, "lib/link"))).toBe("deep/er/a.bin");
    expect((await lstat(join(out, "bin/tool"))).mode & 0o111).not.toBe(0);
    expect((await lstat(join(out, "main.js"))).mode & 0o111).toBe(0);
  });

  test("is the same bytes again, whenever its folder was made, and leaves nothing beside it", async () => {
    await using first = await tempFolder();
    await using second = await tempFolder();
    const [a, b] = [await packed(first.path), await packed(second.path)];
    expect((await readFile(a.file)).equals(await readFile(b.file))).toBe(true);
    expect((await readdir(first.path)).sort()).toEqual(["app.bundle", "tree"]);
  });

  test("is refused with any one bit flipped or its end cut off, in 1,000 random places", async () => {
    await using folder = await tempFolder();
    const { file } = await packed(folder.path);
    const whole = await readFile(file);
    const broken = join(folder.path, "broken");
    // A linear congruential generator (Numerical Recipes): the same places every time.
    let seed = 1;
    const below = (bound: number): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * bound);
    };
    // Half of the flips in the head: it is a hundredth of the file, and all that is not hashed.
    const head = whole.length - (await verifyBundle(file, keySet)).manifest.payload.sizeBytes;
    for (let i = 0; i < 1000; i++) {
      const bytes = Buffer.from(whole);
      const bit = below(8);
      const place = below(i % 2 === 0 ? head : whole.length);
      if (i % 4 < 3) bytes[place]! ^= 1 << bit;
      await writeFile(broken, bytes);
      if (i % 4 === 3) await truncate(broken, place);
      const refusal = await verifyBundle(broken, keySet).then(
        () => "accepted",
        (error: { code: string }) => error.code,
      );
      expect([place, bit, refusal]).toEqual([place, bit, "update-invalid"]);
    }
  });

  test("is refused when bytes follow it", async () => {
    await using folder = await tempFolder();
    const { file } = await packed(folder.path);
    await writeFile(file, Buffer.concat([await readFile(file), Buffer.alloc(1)]));
    await expect(verifyBundle(file, keySet)).rejects.toThrow("goes on after its end");
  });

  test("of a key that is not trusted is refused", async () => {
    await using folder = await tempFolder();
    const { file } = await packed(folder.path);
    const others = openKeySet(
      signKeySet({ number: 1, root: [rootKey], release: [testKey("another")] }, [rootKey]),
    );
    await expect(verifyBundle(file, others)).rejects.toThrow(/signature .* not trusted/);
  });

  test("of a root key is refused: root keys sign key sets and nothing else", async () => {
    await using folder = await tempFolder();
    await makeTree(join(folder.path, "tree"), files);
    const file = join(folder.path, "app.bundle");
    const manifest = appManifest("1.0.0");
    await packBundle({ folder: join(folder.path, "tree"), manifest, privateKey: rootKey, file });
    await expect(verifyBundle(file, keySet)).rejects.toThrow("not trusted");
  });

  test("that changes between being checked and being unpacked is refused", async () => {
    await using folder = await tempFolder();
    const { file } = await packed(folder.path);
    const bundle = await verifyBundle(file, keySet);
    await makeTree(join(folder.path, "evil"), { ...files, "main.js": "console.log('stealing')\n" });
    await packBundle({
      folder: join(folder.path, "evil"),
      manifest: appManifest("1.2.3"),
      privateKey: testKey("thief"),
      file,
      level: 3,
    });
    await expect(unpackBundle(file, bundle, join(folder.path, "out"))).rejects.toMatchObject({
      code: "update-invalid",
    });
  });

  test("stops unpacking when told to", async () => {
    await using folder = await tempFolder();
    const { file } = await packed(folder.path);
    const bundle = await verifyBundle(file, keySet);
    const signal = AbortSignal.abort();
    await expect(unpackBundle(file, bundle, join(folder.path, "out"), { signal })).rejects.toThrow("aborted");
  });
});

describe("what cannot be packed", () => {
  test.each([
    ["a link out of the bundle", { "a/b": "-> ../../etc/passwd" }, "outside of it"],
    ["a link to an absolute path", { link: "-> /etc/passwd" }, "outside of it"],
    ["a name with a line break", { "a\nb": "" }, "no path inside it"],
  ])("%s", async (_, tree, message) => {
    await using folder = await tempFolder();
    await makeTree(join(folder.path, "tree"), tree);
    const options = { manifest: appManifest("1.0.0"), privateKey: releaseKey };
    const work = packBundle({
      ...options,
      folder: join(folder.path, "tree"),
      file: join(folder.path, "app.bundle"),
    });
    await expect(work).rejects.toThrow(message);
    expect(await readdir(folder.path)).toEqual(["tree"]);
  });
});

/** An archive made by hand, as packTar would not. */
function archive(
  ...entries: {
    path: string;
    type: "File" | "Directory" | "SymbolicLink" | "Link" | "CharacterDevice";
    linkpath?: string;
    text?: string;
  }[]
): Uint8Array {
  const blocks = entries.flatMap(({ text = "", ...entry }) => {
    const header = Buffer.alloc(512);
    new Header({ ...entry, size: text.length, mode: 0o644, mtime: new Date(0) }).encode(header);
    return [header, Buffer.from(text), Buffer.alloc(-text.length & 511)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe("unpacking an archive that nobody should have signed", () => {
  const size = { files: 9, bytes: 99 };
  test.each([
    ["an absolute path", [{ path: "/tmp/x", type: "File" }], "no path inside"],
    ["a path upwards", [{ path: "../x", type: "File" }], "no path inside"],
    ["a path upwards from within", [{ path: "a/../../x", type: "File" }], "no path inside"],
    ["a link upwards", [{ path: "a", type: "SymbolicLink", linkpath: "../x" }], "outside"],
    ["a link to an absolute path", [{ path: "a", type: "SymbolicLink", linkpath: "/etc" }], "outside"],
    [
      "a file behind a link",
      [
        { path: "d/", type: "Directory" },
        { path: "a", type: "SymbolicLink", linkpath: "d" },
        { path: "a/x", type: "File" },
      ],
      "no folder of its own",
    ],
    ["a hard link", [{ path: "a", type: "Link", linkpath: "b" }], "a Link"],
    ["a device", [{ path: "a", type: "CharacterDevice" }], "a CharacterDevice"],
    [
      "a file twice",
      [
        { path: "a", type: "File" },
        { path: "a", type: "File" },
      ],
      "twice",
    ],
    ["more bytes than announced", [{ path: "a", type: "File", text: "x".repeat(100) }], "more than"],
    ["fewer files than announced", [{ path: "a", type: "File", text: "x" }], "less than"],
  ] as const)("%s is refused", async (_, entries, message) => {
    await using folder = await tempFolder();
    const bytes = archive(...entries);
    await expect(unpackTar(pieces(bytes, 100), folder.path, size, disk)).rejects.toThrow(message);
  });

  test("what is no archive at all is refused", async () => {
    await using folder = await tempFolder();
    const bytes = Buffer.alloc(2048, "noise");
    await expect(unpackTar(pieces(bytes, 512), folder.path, size, disk)).rejects.toMatchObject({
      code: "update-invalid",
    });
  });
});
