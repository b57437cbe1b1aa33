/** From an offer to a version that lies beside what runs: its bundles are fetched, checked and unpacked. */
import { join } from "node:path";
import { type OfferedBundle, PlatenError, updateKeyOf, type UpdateOffer, UpdatePhase } from "@platen/proto";
import { type Manifest, openDowngrade } from "@platen/proto/bundle";
import type { HttpFetch } from "../adapters/http-fetch.ts";
import { sleep } from "../app/backoff.ts";
import type { Printer } from "../app/printer.ts";
import type { Board } from "./board.ts";
import { headOf } from "./bundle.ts";
import { download, sweepDownloads } from "./download.ts";

export interface InstallationSite {
  readonly board: Board;
  readonly printer: Pick<Printer, "printerId">;
  readonly printerKey: () => string;
  readonly fetch: Pick<HttpFetch, "getFrom">;
  /** What this board is, as bundles name it. */
  readonly boardName: string;
  readonly channel: string;
}

/** An offer that is taken up. */
export interface Attempt {
  readonly offer: UpdateOffer;
  /** Aborts when the printer stops, or the offer no longer stands. */
  readonly signal: AbortSignal;
  /** Goes on to a phase. Throws when the backend answers that the offer no longer stands. */
  readonly say: (phase: UpdatePhase, text?: string, percent?: number) => Promise<void>;
}

/** Between reports of how much has come, milliseconds. */
const progressMs = 2000;

const unusable = (): PlatenError =>
  new PlatenError("update-invalid", "the offer names no bundle that can be fetched");

/** Both hashes become names of files here. */
function requireHashes({ sha256Hex, payloadSha256Hex }: OfferedBundle): void {
  for (const hash of [sha256Hex, payloadSha256Hex]) if (!/^[0-9a-f]{64}$/.test(hash)) throw unusable();
}

const downloadsOf = (board: Board): string => join(board.root, "downloads");

/** Gives back the space of all that neither a slot nor an offer needs. */
export async function sweep(board: Board, offered: readonly OfferedBundle[]): Promise<void> {
  await sweepDownloads(downloadsOf(board), new Set(offered.map(({ sha256Hex }) => sha256Hex)));
  await board.sweepRuntimes(offered.map(({ payloadSha256Hex }) => payloadSha256Hex));
}

/** Whether a runtime is unpacked here, or is the image's own, which this app runs on where it has none. */
async function hasRuntime(board: Board, { payloadSha256Hex, version }: OfferedBundle): Promise<boolean> {
  if (await board.runtime(payloadSha256Hex)) return true;
  const own = (await board.current())?.manifest.runtime;
  return version === process.versions.node && own !== undefined && !(await board.runtime(own.sha256));
}

/**
 * Puts all that the offer names, the app last, beside what runs. A runtime that is there is not fetched again. Throws what
 * `download` and `Board.install` do, and `update-invalid` for an offer that makes no sense.
 */
export async function installOffer(site: InstallationSite, attempt: Attempt): Promise<void> {
  const { board, boardName, channel } = site;
  const { offer, signal, say } = attempt;
  const { bundles, downgradePermit } = offer;
  for (const bundle of bundles) requireHashes(bundle);
  const downgrade =
    downgradePermit.length > 0 ? openDowngrade(downgradePermit, await board.keys()) : undefined;
  await sweep(board, bundles);
  for (const bundle of bundles) {
    if (bundle !== bundles.at(-1) && (await hasRuntime(board, bundle))) continue;
    await say(UpdatePhase.DOWNLOADING, `fetching version ${bundle.version}`, 0);
    const file = await downloadBundle(site, bundle, attempt);
    await say(UpdatePhase.VERIFYING);
    await board.install(file, {
      board: boardName,
      channel,
      downgrade,
      payloadSha256: bundle.payloadSha256Hex,
      attempt: offer.attempt,
      signal,
      onVerified: () => say(UpdatePhase.INSTALLING),
    });
  }
}

/** Fetches a system's bundle. Resolves to its manifest: somebody trusted signed that, and nothing else has been looked into. */
export async function fetchOne(
  site: InstallationSite,
  bundle: OfferedBundle,
  attempt: Attempt,
): Promise<Manifest> {
  requireHashes(bundle);
  await sweep(site.board, [bundle]);
  await attempt.say(UpdatePhase.DOWNLOADING, `fetching system ${bundle.version}`, 0);
  const file = await downloadBundle(site, bundle, attempt);
  return (await headOf(file, await site.board.keys())).manifest;
}

async function downloadBundle(
  { board, printer, printerKey, fetch }: InstallationSite,
  bundle: OfferedBundle,
  { signal, say }: Attempt,
): Promise<string> {
  const url = URL.parse(bundle.url);
  if (!url) throw unusable();
  const sizeBytes = Number(bundle.sizeBytes);
  const headers = {
    "platen-printer-id": printer.printerId,
    authorization: `Bearer ${updateKeyOf(printerKey(), bundle.sha256Hex)}`,
  };
  let haveBytes = 0;
  const over = new AbortController();
  // By the clock and not by what comes: an offer may be withdrawn while the line stands still.
  const reporting = (async () => {
    const until = AbortSignal.any([signal, over.signal]);
    for (;;) {
      await sleep(progressMs, until);
      await say(UpdatePhase.DOWNLOADING, undefined, Math.floor((haveBytes / sizeBytes) * 100));
    }
  })().catch(() => {});
  try {
    return await download(
      downloadsOf(board),
      { sha256: bundle.sha256Hex, sizeBytes },
      (startByte, fetchSignal) => fetch.getFrom(url, headers, startByte, fetchSignal),
      (bytes) => {
        haveBytes = bytes;
      },
      signal,
    );
  } finally {
    over.abort();
    await reporting;
  }
}
