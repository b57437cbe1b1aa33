/** PrinterUpdateService and UpdateService: wire messages to updates and back. */
import {
  type AddBundleRequest,
  bindService,
  type CallContext,
  PlatenError,
  PrinterUpdateService,
  RolloutState,
  UpdatePhaseSchema,
  UpdateService,
  type UpdateStatus,
} from "@platen/proto";
import type { Printers } from "../app/printers.ts";
import type { BundleRecord, Offer, RolloutChange, RolloutRecord, Updates } from "../app/updates.ts";
import { parsePrinterId } from "../domain/ids.ts";
import { requireOperator } from "./operator.ts";

export interface PrinterUpdateDependencies {
  readonly updates: Updates;
  readonly printers: Printers;
  /** Base URL under which printers fetch bundles; throws `unavailable`. */
  readonly resultUrl: () => string;
  /** How often printers ask, milliseconds. */
  readonly intervalMs: number;
}

const maxChunkBytes = 1024 * 1024;
/** Longest name that a printer gives of its board and its channel, and longest message. */
const nameMax = 64;
const messageMax = 1000;

const invalid = (message: string): PlatenError => new PlatenError("invalid-argument", message);

export const printerUpdateService = ({
  updates,
  printers,
  resultUrl,
  intervalMs,
}: PrinterUpdateDependencies) =>
  bindService(PrinterUpdateService, {
    checkForUpdate: async ({ printerId: id, status: given, system: below }, { header }) => {
      const printerId = parsePrinterId(id);
      await printers.authenticate(printerId, header("authorization"));
      if (!given) throw invalid("status is missing");
      const status = checked(given);
      const system = below && checked(below);
      await printers.updated(printerId, status, system);
      const offer = await updates.offer(printerId, "app", status);
      const systemOffer = system && (await updates.offer(printerId, "system", system));
      return {
        intervalMs,
        keySet: (await updates.keySetAfter(status.keySet)) ?? new Uint8Array(),
        ...(offer && { offer: offerMessage(offer, resultUrl()) }),
        ...(systemOffer && { systemOffer: offerMessage(systemOffer, resultUrl()) }),
      };
    },
  });

/** Throws `invalid-argument` for a status that is none. */
function checked(status: UpdateStatus): UpdateStatus {
  if (!UpdatePhaseSchema.value[status.phase]) throw invalid(`there is no update phase ${status.phase}`);
  const names = [status.version, status.targetVersion, status.board, status.channel];
  if (names.some((name) => name.length > nameMax)) throw invalid("a name in status is too long");
  return { ...status, message: status.message.slice(0, messageMax) };
}

const offerMessage = ({ attempt, downgradePermit, bundles }: Offer, resultUrl: string) => ({
  attempt,
  downgradePermit: new Uint8Array(downgradePermit),
  bundles: bundles.map(({ sha256, sizeBytes, manifest }) => ({
    sha256Hex: sha256,
    sizeBytes: BigInt(sizeBytes),
    url: `${resultUrl}/v1/updates/${sha256}`,
    version: manifest.version,
    payloadSha256Hex: manifest.payload.sha256,
  })),
});

async function* chunksOf(
  parts: AsyncIterator<AddBundleRequest>,
  sizeBytes: number,
): AsyncGenerator<Uint8Array> {
  let sum = 0;
  for (let next = await parts.next(); !next.done; next = await parts.next()) {
    const { part } = next.value;
    if (part.case !== "chunk") throw invalid("after the header every message of a bundle must be a chunk");
    if (part.value.length > maxChunkBytes) throw invalid(`a chunk has at most ${maxChunkBytes} bytes`);
    sum += part.value.length;
    if (sum > sizeBytes) throw invalid("more bytes came than the header says");
    yield part.value;
  }
  if (sum !== sizeBytes) throw invalid("fewer bytes came than the header says");
}

const bundleMessage = ({ sha256, sizeBytes, manifest }: BundleRecord) => ({
  sha256Hex: sha256,
  sizeBytes: BigInt(sizeBytes),
  kind: manifest.kind,
  name: manifest.name,
  version: manifest.version,
  board: manifest.board,
  channels: manifest.channels,
  runtimeSha256Hex: manifest.kind === "app" ? manifest.runtime.sha256 : "",
  payloadSha256Hex: manifest.payload.sha256,
  keyId: manifest.keyId,
});

const rolloutMessage = ({ paused, downgradePermit, sha256, ...rollout }: RolloutRecord) => ({
  ...rollout,
  sha256Hex: sha256,
  state: paused ? RolloutState.PAUSED : RolloutState.RUNNING,
  downgrade: downgradePermit !== "",
});

const stateNames: ReadonlyMap<RolloutState, RolloutChange["state"]> = new Map([
  [RolloutState.UNSPECIFIED, undefined],
  [RolloutState.RUNNING, "running"],
  [RolloutState.PAUSED, "paused"],
  [RolloutState.STOPPED, "stopped"],
]);

export function updateService(updates: Updates, operatorKey: string | undefined) {
  const admit = (context: CallContext) => requireOperator(operatorKey, context);
  return bindService(UpdateService, {
    addBundle: async (requests, context) => {
      admit(context);
      const parts = requests[Symbol.asyncIterator]();
      const first = await parts.next();
      if (first.done || first.value.part.case !== "header") {
        throw invalid("the first message of a bundle must be its header");
      }
      const sizeBytes = Number(first.value.part.value.sizeBytes);
      return { bundle: bundleMessage(await updates.add(chunksOf(parts, sizeBytes), context.signal)) };
    },
    setRollout: async (request, context) => {
      admit(context);
      const { version, channel, board, percent, state: given, retry, downgradePermit } = request;
      if (!stateNames.has(given)) throw invalid(`there is no rollout state ${given}`);
      const state = stateNames.get(given);
      if (percent !== undefined && !(percent >= 0 && percent <= 100))
        throw invalid("percent must be 0 to 100");
      if (!version || !channel) throw invalid("version and channel are missing");
      const change = { version, channel, board, percent, state, retry, downgradePermit };
      const rollout = rolloutMessage(await updates.setRollout(change));
      return { rollout: state === "stopped" ? { ...rollout, state: RolloutState.STOPPED } : rollout };
    },
    listUpdates: async (_, context) => {
      admit(context);
      return {
        bundles: (await updates.bundles()).map(bundleMessage),
        rollouts: (await updates.rollouts()).map(rolloutMessage),
        keySet: (await updates.keySet())?.number ?? 0,
      };
    },
    removeBundle: async ({ sha256Hex }, context) => {
      admit(context);
      await updates.remove(parseSha256(sha256Hex));
      return {};
    },
    setKeySet: async ({ keySet }, context) => {
      admit(context);
      return { number: (await updates.setKeySet(keySet)).number };
    },
  });
}

function parseSha256(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw invalid("sha256_hex must be 64 lower-case hexadecimal digits");
}
