/** Makes one JavaScript file of a program and all that it imports, so that the board starts it quickly and needs no compiler. */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { PlatenError } from "@platen/proto";
import { type Plugin, rolldown } from "rolldown";
import { packageFolderOf } from "./packages.ts";

/** `new URL("file", import.meta.url)`, as the sources name files that lie beside them. */
const fileUrl = /new URL\(\s*"(\.{1,2}\/[^"]+)"\s*,\s*import\.meta\.url\s*,?\s*\)/g;

/** Files that sources name by URL go along: TypeScript as a program of its own (a worker), others as they are. */
const filesByUrl: Plugin = {
  name: "files-by-url",
  transform: {
    filter: { id: /\.(ts|js|mjs)$/, code: "import.meta.url" },
    async handler(code, id) {
      const references = new Map<string, string>();
      for (const [, path] of code.matchAll(fileUrl)) {
        const file = resolve(dirname(id), path!);
        const reference = path!.endsWith(".ts")
          ? this.emitFile({ type: "chunk", id: file })
          : this.emitFile({
              type: "asset",
              name: path!.slice(path!.lastIndexOf("/") + 1),
              source: await readFile(file),
            });
        references.set(path!, reference);
      }
      if (references.size === 0) return null;
      const replaced = code.replaceAll(
        fileUrl,
        (_, path: string) => `new URL(import.meta.ROLLUP_FILE_URL_${references.get(path)})`,
      );
      return { code: replaced, map: null };
    },
  },
};

/**
 * CommonJS packages name files of theirs after `__dirname`: it stays what it was, below the `node_modules` that is beside the
 * programs. Resolves what was named so: the folders of those packages.
 */
function filesByFolder(root: string, folders: Set<string>): Plugin {
  const modules = `${root}/node_modules/`;
  return {
    name: "files-by-folder",
    transform: {
      filter: { id: /\/node_modules\/.*\.c?js$/, code: "__dirname" },
      handler(code, id) {
        if (!id.startsWith(modules)) return null;
        folders.add(packageFolderOf(id)!);
        const folder = JSON.stringify(`/${dirname(id.slice(modules.length))}`);
        return { code: code.replaceAll(/\b__dirname\b/g, `(platenModules + ${folder})`), map: null };
      },
    },
  };
}
const banner = 'const platenModules = import.meta.dirname + "/node_modules";';

export interface ProgramOptions {
  /** Holds the sources, and `node_modules` with what they import. */
  readonly root: string;
  /** Sources by the name of the program that they become, `NAME.js`. */
  readonly programs: Readonly<Record<string, string>>;
  /** Folder that they are written into. */
  readonly folder: string;
  /** Packages that stay files of their own, since they load others as they run. */
  readonly external?: readonly string[];
}

export interface Bundled {
  /** The files that went in, absolute paths. */
  readonly modules: readonly string[];
  /** Packages that read files of theirs as they run: these must lie below `node_modules` beside the programs. */
  readonly readers: readonly string[];
}

/** Writes the programs. Throws `internal` with what is wrong in the sources. */
export async function bundlePrograms(options: ProgramOptions): Promise<Bundled> {
  const { root, programs, folder, external = [] } = options;
  const readers = new Set<string>();
  const isExternal = (id: string) => external.some((name) => id === name || id.startsWith(`${name}/`));
  try {
    await using build = await rolldown({
      input: { ...programs },
      cwd: root,
      // Names of the sources' folders, which differ from build to build.
      experimental: { attachDebugInfo: "none" },
      platform: "node",
      external: isExternal,
      plugins: [filesByUrl, filesByFolder(root, readers)],
      logLevel: "silent",
    });
    const { output } = await build.write({
      dir: folder,
      format: "esm",
      banner,
      entryFileNames: "[name].js",
      chunkFileNames: "[name]-[hash].js",
      assetFileNames: "[name]-[hash][extname]",
      // Licences are collected in a file of their own; comments are for those who read the sources.
      comments: false,
    });
    const modules = output.flatMap((part) => (part.type === "chunk" ? part.moduleIds : [])).sort();
    return { modules, readers: [...readers].sort() };
  } catch (cause) {
    throw new PlatenError("internal", `cannot bundle: ${(cause as Error).message}`, { cause });
  }
}
