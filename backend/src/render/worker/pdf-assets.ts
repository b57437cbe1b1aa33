/**
 * What pdf.js reads of its own package: character maps, the standard fonts, decoders and colour profiles.
 *
 * pdf.js loads its ICC engine (and with it ICCBased colours and a real CMYK) only as a browser's worker does, with `fetch` and
 * a synchronous XMLHttpRequest. Here both read files of that package, and nothing else: a document makes nobody fetch.
 */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";

const root = new URL("./", import.meta.resolve("pdfjs-dist/package.json"));

export const pdfAssets = {
  cMapUrl: new URL("cmaps/", root).href,
  cMapPacked: true,
  standardFontDataUrl: new URL("standard_fonts/", root).href,
  wasmUrl: new URL("wasm/", root).href,
  iccUrl: new URL("iccs/", root).href,
  useWorkerFetch: true,
} as const;

function assetUrl(text: string): URL {
  const url = new URL(text);
  if (!url.href.startsWith(root.href)) throw new TypeError(`${url.href} is not to be fetched`);
  return url;
}

/** The part of XMLHttpRequest that pdf.js uses. */
class AssetRequest {
  responseType = "";
  response: ArrayBuffer | undefined;
  #url: URL | undefined;

  open(_method: string, url: string): void {
    this.#url = assetUrl(url);
  }

  send(): void {
    if (this.#url) this.response = new Uint8Array(readFileSync(this.#url)).buffer;
  }
}

/** Puts both in the place of the network's. */
export function installAssetLoaders(): void {
  Object.assign(globalThis, {
    fetch: async (url: string | URL) => new Response(await readFile(assetUrl(String(url)))),
    XMLHttpRequest: AssetRequest,
  });
}
