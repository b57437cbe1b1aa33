/**
 * What pdf.js reads of its own package: character maps, the standard fonts, decoders and colour profiles.
 *
 * pdf.js loads its ICC engine (and with it ICCBased colours and a real CMYK) only as a browser's worker does, with `fetch` and
 * a synchronous XMLHttpRequest. Here both read files of that package, and nothing else: a document makes nobody fetch.
 */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { withNeutralBlack } from "./cmyk-profile.ts";
import { installLabCorrection } from "./icc-lab.ts";

const root = new URL("./", import.meta.resolve("pdfjs-dist/package.json"));

export const pdfAssets = {
  cMapUrl: new URL("cmaps/", root).href,
  cMapPacked: true,
  standardFontDataUrl: new URL("standard_fonts/", root).href,
  wasmUrl: new URL("wasm/", root).href,
  iccUrl: new URL("iccs/", root).href,
  useWorkerFetch: true,
} as const;

/** DeviceCMYK as pdf.js has it. */
const cmykProfile = "/CGATS001Compat-v2-micro.icc";

function assetUrl(text: string): URL {
  const url = new URL(text);
  if (!url.href.startsWith(root.href)) throw new TypeError(`${url.href} is not to be fetched`);
  return url;
}

/** The part of XMLHttpRequest that pdf.js uses. */
class AssetRequest {
  responseType = "";
  response: ArrayBufferLike | undefined;
  #url: URL | undefined;

  open(_method: string, url: string): void {
    this.#url = assetUrl(url);
  }

  send(): void {
    if (!this.#url) return;
    const bytes = new Uint8Array(readFileSync(this.#url));
    this.response = (this.#url.pathname.endsWith(cmykProfile) ? withNeutralBlack(bytes) : bytes).buffer;
  }
}

/** Puts both in the place of the network's, and corrects what is loaded. */
export function installAssetLoaders(): void {
  installLabCorrection();
  Object.assign(globalThis, {
    fetch: async (url: string | URL) => new Response(await readFile(assetUrl(String(url)))),
    XMLHttpRequest: AssetRequest,
  });
}
