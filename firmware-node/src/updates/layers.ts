/** The two things that a printer keeps current: its app, and the system below. */
import { type CheckForUpdateResponse, PlatenError, type UpdateOffer, UpdatePhase } from "@platen/proto";
import { type Attempt, fetchOne, type InstallationSite, installOffer } from "./installation.ts";
import type { SystemLink } from "./system-link.ts";
import type { Layer } from "./track.ts";

/** Why a payload failed, if that was at the attempt or a later one. */
const failureOf = (
  failed: Readonly<Record<string, { readonly attempt: number; readonly reason: string }>>,
  payloadSha256: string,
  attempt: number,
): string | undefined => {
  const failure = failed[payloadSha256];
  return failure && failure.attempt >= attempt ? failure.reason : undefined;
};

export const appLayer = (site: InstallationSite): Layer => ({
  called: "version",
  knownFailure: async (payloadSha256, attempt) =>
    failureOf((await site.board.state()).failed, payloadSha256, attempt),
  install: (attempt) => installOffer(site, attempt),
  askTrial: (payloadSha256, attempt) => site.board.askTrial(payloadSha256, attempt),
  offerIn: ({ offer }: CheckForUpdateResponse): UpdateOffer | undefined => offer,
});

/** The system's service checks all of it again: what is asked of it here is only asked. */
export const systemLayer = (site: InstallationSite, link: SystemLink): Layer => ({
  called: "system",
  knownFailure: async (payloadSha256, attempt) =>
    failureOf((await link.status())?.failed ?? {}, payloadSha256, attempt),
  async install(attempt: Attempt) {
    const { offer, signal, say } = attempt;
    const bundle = offer.bundles.at(-1)!;
    const manifest = await fetchOne(site, bundle, attempt);
    if (manifest.kind !== "system") {
      throw new PlatenError("update-refused", `${manifest.name} ${manifest.version} is no system`);
    }
    const needed = (await site.board.current())?.manifest.runtime;
    if (needed && needed.version !== manifest.runtime.version && !(await site.board.runtime(needed.sha256))) {
      throw new PlatenError(
        "update-refused",
        `system ${manifest.version} brings Node ${manifest.runtime.version}, and the app that runs needs the present system's ${needed.version}: update the app first`,
      );
    }
    await say(UpdatePhase.VERIFYING);
    const request = {
      action: "install",
      sha256: bundle.sha256Hex,
      payloadSha256: bundle.payloadSha256Hex,
      attempt: offer.attempt,
      channel: site.channel,
      permit: Buffer.from(offer.downgradePermit).toString("base64"),
    } as const;
    await link.ask(request, signal, () => say(UpdatePhase.INSTALLING));
  },
  askTrial: (payloadSha256, attempt) => link.ask({ action: "try", payloadSha256, attempt }),
  offerIn: ({ systemOffer }: CheckForUpdateResponse): UpdateOffer | undefined => systemOffer,
});
